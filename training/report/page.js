// What a script adds to a report: charts are read out under the pointer or with the arrow keys, sounds get a large
// button. Without it the page still shows and plays everything.

"use strict";

const SVG = "http://www.w3.org/2000/svg";

function drawn(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function readChart(chart) {
  const points = JSON.parse(chart.querySelector("script").textContent);
  const svg = chart.querySelector("svg");
  const reading = svg.querySelector(".reading");
  const place = chart.querySelector(".place");
  const keys = [...chart.querySelectorAll(".legend li")];
  const outputs = keys.map((key) => key.querySelector("output"));
  const resting = [place.textContent, ...outputs.map((output) => output.textContent)];
  const names = keys.map((key) => key.children[1].textContent);
  const last = points.x.length - 1;
  let at = last;

  const line = drawn("path", {});
  const dots = points.lines.map((_, number) => drawn("circle", { r: 4, class: keys[number].className }));

  function show(number) {
    at = Math.min(last, Math.max(0, number));
    const x = points.x[at];
    line.setAttribute("d", `M${x} ${points.top}V${points.bottom}`);
    place.textContent = points.name[at];
    points.lines.forEach(({ y, text }, number) => {
      outputs[number].textContent = text[at];
      dots[number].setAttribute("cx", x);
      dots[number].setAttribute("cy", y[at] ?? 0);
      dots[number].style.display = y[at] === null ? "none" : "";
    });
    reading.replaceChildren(line, ...dots);
    svg.setAttribute("aria-valuenow", at);
    const values = points.lines.map(({ text }, number) => `${names[number]} ${text[at]}`);
    svg.setAttribute("aria-valuetext", `${points.name[at]}: ${values.join(", ")}`);
  }

  function rest() {
    if (document.activeElement === svg) return;
    reading.replaceChildren();
    [place, ...outputs].forEach((output, number) => { output.textContent = resting[number]; });
  }

  function follow(event) {
    const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
    let nearest = 0;
    points.x.forEach((other, number) => {
      if (Math.abs(other - x) < Math.abs(points.x[nearest] - x)) nearest = number;
    });
    show(nearest);
  }

  const page = Math.max(1, Math.round(last / 10));
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -page, PageUp: page, Home: -last, End: last };
  svg.addEventListener("pointermove", follow);
  svg.addEventListener("pointerdown", follow);
  svg.addEventListener("pointerleave", rest);
  svg.addEventListener("focus", () => { if (svg.matches(":focus-visible")) show(at); });
  svg.addEventListener("blur", rest);
  svg.addEventListener("keydown", (event) => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    show(at + moves[event.key]);
  });
  const slider = { role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": last, "aria-valuenow": at };
  for (const [name, value] of Object.entries(slider)) svg.setAttribute(name, value);
  svg.setAttribute("aria-valuetext", points.name[at]);
}

const PLAY = "M8 5.5v13l10.5-6.5z";
const PAUSE = "M7.5 5.5h3v13h-3zM13.5 5.5h3v13h-3z";
let playing = null;

function makePlayer(player) {
  const sound = player.querySelector("audio");
  const sign = drawn("path", { d: PLAY });
  const icon = drawn("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" });
  const button = document.createElement("button");
  const head = document.createElement("span");
  const name = sound.getAttribute("aria-label");
  icon.append(sign);
  button.append(icon);
  button.type = "button";
  button.className = "play";
  button.setAttribute("aria-label", `Play ${name}`);
  head.className = "head";
  head.hidden = true;

  const tick = () => {
    head.style.width = `${(100 * sound.currentTime) / (sound.duration || 1)}%`;
    if (!sound.paused) requestAnimationFrame(tick);
  };
  const turn = (on) => {
    sign.setAttribute("d", on ? PAUSE : PLAY);
    button.setAttribute("aria-label", `${on ? "Pause" : "Play"} ${name}`);
    head.hidden = !on && sound.ended;
  };
  button.addEventListener("click", () => {
    if (!sound.paused) return sound.pause();
    sound.play().catch(() => {
      document.getElementById("status").textContent = `${name} can't be played in this browser.`;
      sound.controls = true;
    });
  });
  sound.addEventListener("play", () => {
    if (playing && playing !== sound) playing.pause(); // one at a time
    playing = sound;
    turn(true);
    tick();
  });
  sound.addEventListener("pause", () => turn(false));
  sound.addEventListener("ended", () => turn(false));
  sound.controls = false;
  player.append(head, button);
}

document.querySelectorAll(".chart").forEach(readChart);
document.querySelectorAll(".player").forEach(makePlayer);
