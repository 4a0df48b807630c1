// Swagger UI over the service's own OpenAPI document, in the visitor's light or dark.

const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", paint);
paint();

window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // it would send the document elsewhere
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
});
