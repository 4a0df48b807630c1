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

function mono(heard) {
  const first = heard.getChannelData(0);
  if (heard.numberOfChannels === 1) return first;
  const second = heard.getChannelData(1);
  return first.map((sample, at) => (sample + second[at]) / 2);
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
