// How files come in: chosen, dropped anywhere on the page, or pasted.

const IMAGES = "jpg jpeg jpe png apng webp avif gif bmp tif tiff heic heif jp2 j2k ppm pgm pbm pnm".split(" ");
const SOUNDS = "wav wave flac mp3 ogg oga opus m4a aac webm weba mp4 m4v mov mkv mka aif aiff caf w64".split(" ");

/** "image", "sound" (videos count: their sound track does), or null for anything else. */
export function modalityOf(file) {
  const ending = file.name.toLowerCase().split(".").pop();
  if (IMAGES.includes(ending)) return "image";
  if (SOUNDS.includes(ending)) return "sound";
  const [kind] = file.type.split("/");
  if (kind === "image") return "image";
  return kind === "audio" || kind === "video" ? "sound" : null;
}

/** Call `take(files)` whenever files arrive; `take([])` when what was dropped gives none. */
export function takeFiles(input, camera, take) {
  input.accept = ["image/*", "audio/*", "video/*", ...[...IMAGES, ...SOUNDS].map((ending) => `.${ending}`)].join(",");
  for (const field of [input, camera]) {
    field.addEventListener("change", () => {
      const files = [...field.files];
      field.value = ""; // so that the same file can be chosen again
      if (files.length) take(files);
    });
  }

  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (!files.length) return; // text, into a field
    event.preventDefault();
    take(files);
  });

  let depth = 0; // enter and leave come for every element that the pointer crosses
  const mark = (change) => {
    depth = change ? Math.max(0, depth + change) : 0;
    document.body.classList.toggle("dragging", depth > 0);
  };
  const hasFiles = (event) => event.dataTransfer.types.includes("Files");
  document.addEventListener("dragenter", (event) => hasFiles(event) && mark(1));
  document.addEventListener("dragleave", (event) => hasFiles(event) && mark(-1));
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
    else if (!event.target.closest("input")) refuseDrag(event);
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return; // text, into a field
    event.preventDefault();
    mark(0);
    take([...event.dataTransfer.files]);
  });
}

/** A link that is dropped would lead away from the page. */
function refuseDrag(event) {
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
}
