// Light, dark, or what the system says. Not a module, so that it runs before the page is painted in the wrong one.

(() => {
  const NEXT = { auto: "light", light: "dark", dark: "auto" };
  const WORDS = { auto: "as the system", light: "light", dark: "dark" };
  const root = document.documentElement;

  function read() {
    try {
      return localStorage.getItem("theme") ?? "auto";
    } catch {
      return "auto"; // where storage is forbidden
    }
  }

  function wear(theme) {
    root.dataset.theme = theme in NEXT ? theme : "auto";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // then it holds for this visit
    }
  }

  wear(read());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const name = () => button.setAttribute("aria-label", `Colours: ${WORDS[root.dataset.theme]}. Change to ${WORDS[NEXT[root.dataset.theme]]}`);
    button.addEventListener("click", () => {
      wear(NEXT[root.dataset.theme]);
      name();
    });
    name();
  });
})();
