// Keys of the whole page.

const TOOLS = { "+": "in", "=": "in", "-": "out", 0: "fit", 1: "one", b: "boxes", l: "loupe" };

/** Listens to keys that nothing else uses. `commands`: move, first, last, remove, mode, search; `tools` of the picture. */
export function listenToKeys(commands, tools) {
  const typing = "input:not([type=checkbox], [type=file], [type=radio], [type=range]), select, textarea", moving = "[type=radio], [type=range]";
  const ignored = (event) => event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") ||
    event.target.closest(typing) || (event.target.closest(moving) && event.key.length > 1);
  document.addEventListener("keydown", (event) => {
    if (ignored(event)) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const command = {
      ArrowDown: () => commands.move(1), j: () => commands.move(1), ArrowUp: () => commands.move(-1), k: () => commands.move(-1),
      Home: commands.first, End: commands.last, Delete: commands.remove, h: () => tools.hold(true),
      r: () => commands.mode("review"), t: () => commands.mode("tune"), "/": commands.search,
    }[key] ?? (TOOLS[key] && (() => tools.use(TOOLS[key])));
    if (!command) return;
    event.preventDefault();
    command();
  });
  document.addEventListener("keyup", (event) => { if (event.key.toLowerCase() === "h") tools.hold(false); });
}
