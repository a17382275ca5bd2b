"use strict";
// What the reader has set, as the page's fragment: so that it can be sent. Whatever else a fragment says is left aside.

perftool.FILTERS = { find: "table-search", precision: "table-precision", show: "table-state" };
// A longer search than this is none of the page's own making.
perftool.LONGEST_SEARCH = 200;

// Only what differs from the run's own limits and from no filter is written.
perftool.fragment = () => {
  const parts = new URLSearchParams();
  for (const { metric, own } of perftool.content.foreseen.controls) {
    const bound = perftool.bounds[metric];
    if (bound !== (own ?? undefined)) parts.set(metric, bound === undefined ? "off" : String(bound));
  }
  for (const [name, id] of Object.entries(perftool.FILTERS)) {
    const { value } = document.getElementById(id);
    if (value !== "" && value !== "all") parts.set(name, value);
  }
  return parts.toString();
};

perftool.writeFragment = () => {
  const wanted = perftool.fragment();
  const present = location.hash.slice(1);
  // The name of a section stays where nothing is set.
  if (wanted === present || (wanted === "" && !present.includes("="))) return;
  try {
    history.replaceState(null, "", wanted === "" ? location.pathname + location.search : `#${wanted}`);
  } catch {
    // Some browsers count such changes, and refuse too many: the next one writes it all.
  }
};

// Read a fragment: known limits with a number that they can have, filters that are offered. Tell whether it was one.
perftool.readFragment = () => {
  const text = location.hash.slice(1);
  if (!text.includes("=")) return false;
  const given = new URLSearchParams(text);
  const bounds = perftool.ownBounds();
  for (const control of perftool.limitRows ? perftool.content.foreseen.controls : []) {
    const value = given.get(control.metric);
    if (value === null) continue;
    const bound = perftool.readNumber(control, value);
    if (value === "off") delete bounds[control.metric];
    else if (bound !== null) {
      perftool.offerLimit(control);
      bounds[control.metric] = bound;
    }
  }
  perftool.bounds = bounds;
  for (const [name, id] of Object.entries(perftool.FILTERS)) {
    const field = document.getElementById(id);
    const value = given.get(name) ?? (name === "show" ? "all" : "");
    if (!field.options) field.value = value.slice(0, perftool.LONGEST_SEARCH);
    else if ([...field.options].some((option) => option.value === value)) field.value = value;
  }
  return true;
};

perftool.buildState = () => addEventListener("hashchange", () => {
  if (!perftool.readFragment()) {
    perftool.writeFragment();
    return;
  }
  if (perftool.limitRows) perftool.setBounds(perftool.bounds);
  perftool.drawTable();
});
