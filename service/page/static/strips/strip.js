// One strip of the session: where its file is, the answer, and the little that is kept of it in memory.

export class Strip {
  /** `open` gives the file's bytes as a Blob when they are needed. */
  constructor(id, name, open) {
    Object.assign(this, { id, name, open });
    this.reset();
  }

  /** Forgets the answer, so that the strip can be sent again. */
  reset() {
    this.state = "waiting"; // sent, answered, refused
    this.image = this.timing = this.model = this.answered = this.refusal = this.tallies = this.small = null;
    this.masksOnly = false; // the picture is too large for maps: what it shows is true for the thresholds of its answer
  }

  refuse(refusal) {
    this.state = "refused";
    this.refusal = refusal;
  }

  /** Takes an answer that was read: tallies and a small picture stay here; the compressed pixels do not. */
  take({ answer, packed, tallies, small }) {
    Object.assign(this, {
      state: "answered", masksOnly: packed.codes !== null, image: answer.images[0], timing: answer.timing_ms, model: answer.model,
      answered: new Date(), tallies, small,
    });
  }
}
