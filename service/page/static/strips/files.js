// What a person drops or chooses, as a flat list of files: folders and zip archives are opened.

const PICTURE = /\.(jpe?g|jfif|png|bmp|dib|tiff?|webp)$/i;
const HIDDEN = /(^|\/)(\.|__MACOSX\/)/;

/** Files that were dropped. The entries must be taken before the event ends. */
export function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return opened([...transfer.files]);
  return Promise.all(entries.map((entry) => walk(entry))).then((found) => opened(found.flat()));
}

async function walk(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [Object.assign(file, { path: entry.fullPath.slice(1) })];
  }
  const reader = entry.createReader(), found = [];
  for (;;) { // a reader gives a hundred entries at a time
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...(await Promise.all(some.map(walk))).flat());
  }
  return found;
}

/** {files: [{name, open}], skipped}: of folders and archives only pictures; single files the service may judge. */
export async function opened(files) {
  const found = [];
  let skipped = 0;
  const take = (name, open, sure) => (sure || (PICTURE.test(name) && !HIDDEN.test(name)) ? found.push({ name, open }) : skipped++);
  for (const file of files) {
    const path = file.path ?? file.webkitRelativePath;
    if (/\.zip$/i.test(file.name)) {
      try {
        const { entriesOf } = await import("./unzip.js");
        for (const { name, open } of await entriesOf(file)) take(name, open, false);
      } catch (refusal) {
        take(file.name, () => Promise.reject(refusal), true);
      }
    } else take(path || file.name, async () => file, !path);
  }
  found.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  return { files: found, skipped };
}
