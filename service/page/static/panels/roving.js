// One tab stop for a group of controls; arrow keys move within it.

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
