// Recording a sound with the microphone.

import { Problem } from "./api.js";
import { byId, clock, element, icon } from "./dom.js";
import { silence } from "./player.js";

const LONGEST = 60; // seconds
const ENDINGS = { "audio/webm": "webm", "audio/mp4": "m4a", "audio/ogg": "ogg" };
const REFUSED = {
  NotAllowedError: ["The microphone is not allowed", "Allow it for this page in the browser's settings, or give a file."],
  NotFoundError: ["There is no microphone", "Connect one, or give a file."],
};

/** Set up the button; `take(files)` gets what was recorded, `fail(problem)` why it was not. */
export function recorder(button, take, fail) {
  if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return; // as on pages without https
  const panel = byId("recording");
  button.hidden = false;
  button.addEventListener("click", start);
  let recording = null;

  async function start() {
    if (recording) return;
    button.disabled = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      record(stream);
    } catch (error) {
      const [title, detail] = REFUSED[error.name] ?? ["The microphone can't be used", error.message];
      fail(new Problem(title, detail));
    }
    button.disabled = false;
  }

  function record(stream) {
    const pieces = [];
    let keep = true;
    recording = new MediaRecorder(stream);
    recording.ondataavailable = ({ data }) => data.size && pieces.push(data);
    recording.onstop = () => {
      const type = recording.mimeType.split(";")[0] || "audio/webm";
      const file = new File(pieces, `recording.${ENDINGS[type] ?? "webm"}`, { type });
      stream.getTracks().forEach((track) => track.stop());
      recording = null;
      stopMeter();
      panel.hidden = true;
      button.hidden = false;
      if (keep && file.size) take([file]);
      else button.focus();
    };
    const time = element("span", { class: "clock", "aria-hidden": "true" });
    const level = element("span", { class: "level", "aria-hidden": "true" }, element("span", {}));
    const stop = element("button", { type: "button", class: "main", onclick: () => recording?.stop() }, icon("stop"), "Stop and search");
    const cancel = element("button", { type: "button", class: "quiet", onclick: () => ((keep = false), recording?.stop()) }, "Cancel");
    panel.replaceChildren(element("p", { class: "live" }, "Recording"), time, level, stop, cancel);
    panel.hidden = false;
    button.hidden = true;
    silence(); // it would be recorded
    recording.start();
    const stopMeter = meter(stream, time, level.firstChild, () => recording?.stop());
    stop.focus();
  }
}

/** Show seconds and loudness until the returned function is called; `end` after the longest time. */
function meter(stream, time, level, end) {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 1024 });
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(1024);
  const begun = performance.now();
  const timer = setInterval(() => {
    const seconds = (performance.now() - begun) / 1000;
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    level.style.setProperty("--share", Math.min(1, Math.max(0.02, 1 + Math.log10(power + 1e-9) / 5)));
    time.textContent = clock(seconds);
    if (seconds >= LONGEST) end();
  }, 100);
  return () => {
    clearInterval(timer);
    context.close();
  };
}
