// Parts of panels: icons, elements, and one tab stop for a group of controls.

/** The icon of a verdict, hidden from screen readers: words stand beside it. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("class", `icon ${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** An element with a class and text. */
export function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Makes the elements of `selector` in a group one tab stop. Call the result when they change. */
export function roving(group, selector, keys = ["ArrowLeft", "ArrowRight"]) {
  const all = () => [...group.querySelectorAll(selector)].filter((one) => !one.hidden && !one.disabled);
  const only = (chosen) => { for (const one of all()) one.tabIndex = one === chosen ? 0 : -1; };
  group.addEventListener("focusin", (event) => { if (event.target.matches(selector)) only(event.target); });
  group.addEventListener("keydown", (event) => {
    const elements = all(), at = elements.indexOf(event.target);
    const step = { [keys[0]]: -1, [keys[1]]: 1 }[event.key];
    const to = event.key === "Home" ? 0 : event.key === "End" ? elements.length - 1 : at + step;
    if (at < 0 || !elements[to]) return;
    event.preventDefault();
    event.stopPropagation();
    elements[to].focus();
  });
  const refresh = () => { const elements = all(); only(elements.find((one) => one.tabIndex === 0) ?? elements[0]); };
  refresh();
  return refresh;
}
