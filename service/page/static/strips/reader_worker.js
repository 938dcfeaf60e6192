// The worker of reader.js.

import { readAnswer } from "./answer.js";

addEventListener("message", async ({ data: { number, chunks } }) => {
  try {
    const read = await readAnswer(chunks), { packed } = read;
    postMessage({ number, read }, [packed.strip.buffer, packed.maps?.buffer].filter(Boolean));
  } catch (error) {
    postMessage({ number, error: String(error) });
  }
});
