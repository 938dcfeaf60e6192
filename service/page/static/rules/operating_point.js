// The thresholds in use: those of a profile, with the changes of the person at the page.

export const FIELDS = ["class_threshold", "threshold", "min_area"];

export class OperatingPoint {
  /** Starts at a profile of the model. */
  constructor(profile) {
    this.profile = profile;
    for (const field of FIELDS) this[field] = [...profile[field]];
  }

  isChanged(field, index) {
    return this[field][index] !== this.profile[field][index];
  }

  get changed() {
    return FIELDS.some((field) => this[field].some((_, index) => this.isChanged(field, index)));
  }

  /** As the parameters of the service's query. */
  get query() {
    return { profile: this.profile.name, ...Object.fromEntries(FIELDS.map((field) => [field, this[field].join(",")])) };
  }
}
