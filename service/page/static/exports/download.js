// Saving files from the page.

/** Hands a file to the browser's downloads. */
export function download(name, blob) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A file's name without folder and suffix. */
export const stem = (name) => name.replace(/^.*[/\\]/, "").replace(/\.[^.]*$/, "");
