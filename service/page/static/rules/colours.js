// Colours of classes by their position, as in service/masks/palette.py.

const OKABE_ITO = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [204, 121, 167], [240, 228, 66], [0, 114, 178], [213, 94, 0]];
// Each the farthest from all before it, protan and deutan vision included.
const FARTHER = "0000ff ff00ee 00ff77 ffddaa 554411 ee0055 4433bb 559900 00ffff 880077 bb88ff 88ffbb 88ff00 ff00aa cc7766 " +
  "882244 881100 999955 eeccff aa22ff 005533 ccee88 0077ee ffaa66 008899";

/** Red, green and blue of 32 classes. */
export const COLOURS = [...OKABE_ITO, ...FARTHER.split(" ").map((hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)))];

export const css = (index, alpha = 1) => `rgb(${COLOURS[index].join(" ")} / ${alpha})`;
