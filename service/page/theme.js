// Light, dark, or what the system says. Not a module, so that it runs before the page is painted in the wrong one.

(() => {
  const WORDS = { auto: "as the system", light: "light", dark: "dark" };
  const SHAPES = {
    auto: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2v14a7 7 0 0 1 0-14z",
    light: "M12 7.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM11 2h2v3h-2zM11 19h2v3h-2zM2 11h3v2H2zM19 11h3v2h-3zM4.2 5.6l1.4-1.4 2.1 2.1-1.4 1.4zM16.3 17.7l1.4-1.4 2.1 2.1-1.4 1.4zM16.3 6.3l2.1-2.1 1.4 1.4-2.1 2.1zM4.2 18.4l2.1-2.1 1.4 1.4-2.1 2.1z",
    dark: "M10 3.2a9 9 0 1 0 10.8 10.9A7.5 7.5 0 0 1 10 3.2z",
  };
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");

  /** What comes after a theme: first what is not shown now, so that something is seen to change. */
  function next(theme) {
    const [same, other] = system.matches ? ["dark", "light"] : ["light", "dark"];
    return { auto: other, [other]: same, [same]: "auto" }[theme];
  }

  function read() {
    try {
      return localStorage.getItem("theme") ?? "auto";
    } catch {
      return "auto"; // where storage is forbidden
    }
  }

  function wear(theme) {
    root.dataset.theme = theme in WORDS ? theme : "auto";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // then it holds for this visit
    }
  }

  wear(read());
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const show = () => {
      const { theme } = root.dataset;
      button.title = `Colours: ${WORDS[theme]}. Change to ${WORDS[next(theme)]}`;
      button.setAttribute("aria-label", button.title);
      button.querySelector("path").setAttribute("d", SHAPES[theme]);
    };
    button.addEventListener("click", () => {
      wear(next(root.dataset.theme));
      show();
    });
    system.addEventListener("change", show);
    show();
  });
})();
