// Sounds as samples: decoded by the browser, at the rate that the model hears.

export const RATE = 22050;
const MOST = { plain: 70e6, packed: 20e6 }; // bytes; beyond these, what is decoded would take too much memory

/** Samples of a file, mono, or null where the browser can't or should not decode it. */
export async function decode(bytes, type = "") {
  const most = /wav|flac|aiff/.test(type) ? MOST.plain : MOST.packed;
  if (!bytes || bytes.byteLength > most || bytes.byteLength === 0) return null;
  try {
    const heard = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
    return mono(heard);
  } catch {
    return null;
  }
}

/** The average of all channels, as the model hears them. */
function mono(heard) {
  const many = heard.numberOfChannels;
  const sum = heard.getChannelData(0);
  for (let number = 1; number < many; number++) {
    const channel = heard.getChannelData(number);
    for (let at = 0; at < sum.length; at++) sum[at] += channel[at];
  }
  return many === 1 ? sum : sum.map((sample) => sample / many);
}

/**
 * Of the samples of a file those that an item is: from `start` on, for `duration` seconds. Metadata is free, so these may
 * be anything; where they mean nothing in this file, all of it counts.
 */
export function partOf(samples, { start, duration } = {}) {
  const at = (seconds, otherwise) => (typeof seconds === "number" && seconds > 0 ? Math.round(seconds * RATE) : otherwise);
  const from = at(start, 0);
  if (from >= samples.length) return samples;
  const to = Math.min(samples.length, from + at(duration, Infinity));
  return to - from < samples.length ? samples.subarray(from, to) : samples;
}

/** Samples as the bytes of a WAV file: 16 bits, mono. */
export function wavOf(samples) {
  const head = 44;
  const view = new DataView(new ArrayBuffer(head + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, number) => view.setUint8(at + number, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, view.byteLength - 8, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes that follow of "fmt "
  view.setUint16(20, 1, true); // plain samples
  view.setUint16(22, 1, true); // channel
  view.setUint32(24, RATE, true);
  view.setUint32(28, 2 * RATE, true); // bytes a second
  view.setUint16(32, 2, true); // bytes of a sample
  view.setUint16(34, 16, true); // bits of it
  text(36, "data");
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, at) => view.setInt16(head + 2 * at, Math.max(-32768, Math.min(32767, Math.round(32768 * sample))), true));
  return view.buffer;
}

/** The loudest sample of each of `many` equal stretches. */
export function peaks(samples, many) {
  return Array.from({ length: many }, (_, number) => {
    let peak = 0;
    const end = Math.floor(((number + 1) * samples.length) / many);
    for (let at = Math.floor((number * samples.length) / many); at < end; at++) peak = Math.max(peak, Math.abs(samples[at]));
    return peak;
  });
}

/** Draw the waveform of samples over the whole of a canvas. */
export function drawWave(canvas, samples, bars = 96) {
  const { width, height } = canvas;
  const tops = peaks(samples, bars);
  const loudest = Math.max(...tops, 1e-4);
  const pen = canvas.getContext("2d");
  const colours = pen.createLinearGradient(0, 0, width, 0);
  [["0", "#b86ad6"], ["0.5", "#e0557c"], ["1", "#f9a03f"]].forEach(([at, colour]) => colours.addColorStop(Number(at), colour));
  pen.clearRect(0, 0, width, height);
  pen.fillStyle = colours;
  tops.forEach((peak, bar) => {
    const tall = Math.max(2, (peak / loudest) * (height - 4));
    pen.fillRect((bar * width) / bars + 1, (height - tall) / 2, width / bars - 2, tall);
  });
}
