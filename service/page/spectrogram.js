// The spectrogram of a sound: time to the right, high tones above, brighter is louder.

import { RATE } from "./audio.js";

const SIZE = 1024; // samples of a Fourier transform
const FRAMES = 3; // transforms that are averaged where a column stands for a long time
const RANGE = 65; // decibels from the brightest down to black
const STOPS = [[13, 8, 35], [64, 18, 101], [132, 40, 108], [205, 66, 72], [246, 130, 30], [252, 226, 140]];
const WINDOW = Float32Array.from({ length: SIZE }, (_, at) => 0.5 - 0.5 * Math.cos((2 * Math.PI * at) / SIZE));
const mel = (hertz) => 2595 * Math.log10(1 + hertz / 700);
const hertz = (mels) => 700 * (10 ** (mels / 2595) - 1);

/** Draw the spectrogram of samples over the whole of a canvas, piece by piece; stops when `signal` is aborted. */
export async function drawSpectrogram(canvas, samples, signal) {
  const { width, height } = canvas;
  const levels = new Float32Array(width * height);
  const bins = binsOf(height);
  let loudest = -Infinity;
  for (let column = 0; column < width; column++) {
    const power = powerOf(samples, (column * samples.length) / width, samples.length / width);
    for (let row = 0; row < height; row++) {
      const [from, to] = bins[row];
      let sum = 0;
      for (let bin = from; bin < to; bin++) sum += power[bin];
      const level = 10 * Math.log10(sum / (to - from) + 1e-10);
      levels[row * width + column] = level;
      loudest = Math.max(loudest, level);
    }
    if (column % 80 === 79) {
      await new Promise((done) => setTimeout(done)); // so that the page stays alive
      if (signal?.aborted) return;
    }
  }
  paint(canvas, levels, loudest);
}

/** The bins of each row, from the highest tone above to the lowest, on the mel scale. */
function binsOf(rows) {
  const top = mel(RATE / 2);
  return Array.from({ length: rows }, (_, row) => {
    const edge = (place) => Math.round((hertz((place * top) / rows) * SIZE) / RATE);
    const from = Math.min(edge(rows - row - 1), SIZE / 2 - 1);
    return [from, Math.max(from + 1, Math.min(SIZE / 2, edge(rows - row)))];
  });
}

/** Mean power of a stretch of samples in each frequency. */
function powerOf(samples, start, length) {
  const total = new Float32Array(SIZE / 2);
  const frames = length > SIZE ? FRAMES : 1;
  for (let frame = 0; frame < frames; frame++) {
    const centre = start + (length * (frame + 0.5)) / frames;
    const first = Math.floor(centre - SIZE / 2);
    const real = new Float32Array(SIZE);
    const imaginary = new Float32Array(SIZE);
    for (let at = 0; at < SIZE; at++) real[at] = (samples[first + at] ?? 0) * WINDOW[at];
    transform(real, imaginary);
    for (let bin = 0; bin < SIZE / 2; bin++) total[bin] += (real[bin] ** 2 + imaginary[bin] ** 2) / frames;
  }
  return total;
}

/** The fast Fourier transform of Cooley and Tukey, in place. */
export function transform(real, imaginary) {
  const size = real.length;
  for (let at = 1, mirror = 0; at < size; at++) {
    let bit = size >> 1;
    for (; mirror & bit; bit >>= 1) mirror ^= bit;
    mirror ^= bit;
    if (at < mirror) {
      [real[at], real[mirror]] = [real[mirror], real[at]];
      [imaginary[at], imaginary[mirror]] = [imaginary[mirror], imaginary[at]];
    }
  }
  for (let span = 2; span <= size; span *= 2) {
    const half = span / 2;
    for (let step = 0; step < half; step++) {
      const cosine = Math.cos((-2 * Math.PI * step) / span);
      const sine = Math.sin((-2 * Math.PI * step) / span);
      for (let low = step; low < size; low += span) {
        const high = low + half;
        const x = real[high] * cosine - imaginary[high] * sine;
        const y = real[high] * sine + imaginary[high] * cosine;
        real[high] = real[low] - x;
        imaginary[high] = imaginary[low] - y;
        real[low] += x;
        imaginary[low] += y;
      }
    }
  }
}

function paint(canvas, levels, loudest) {
  const image = new ImageData(canvas.width, canvas.height);
  levels.forEach((level, at) => image.data.set([...colour(1 + (level - loudest) / RANGE), 255], 4 * at));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Of a loudness from 0 to 1. */
export function colour(loudness) {
  const place = Math.min(0.9999, Math.max(0, loudness)) * (STOPS.length - 1);
  const from = STOPS[Math.floor(place)];
  const to = STOPS[Math.floor(place) + 1];
  return from.map((part, channel) => part + (to[channel] - part) * (place % 1));
}
