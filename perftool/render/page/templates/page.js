"use strict";
// The page: what is chosen now, the theme, and what follows from a changed limit.

perftool.element = (tag, attributes, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
};
perftool.fill = (id, children) => document.getElementById(id).replaceChildren(...children);
perftool.setText = (id, text) => { document.getElementById(id).textContent = text; };

// Show a section where it has something to show.
perftool.reveal = (id, count) => {
  document.getElementById(id).hidden = !count;
  for (const link of document.querySelectorAll(`a[href="#${id}"]`)) link.hidden = !count;
  return Boolean(count);
};

// ---------------------------------------------------------------- what a change leads to

perftool.update = () => {
  const { foreseen } = perftool.content;
  const found = perftool.choose(foreseen, perftool.bounds);
  perftool.found = found;
  perftool.chosenRow = found.chosen === null ? null : perftool.rowOf(found.chosen);
  perftool.showChoice(found);
  perftool.drawCharts();
  perftool.drawTable();
  perftool.writeFragment();
};

perftool.drawCharts = () => {
  const { found, chosenRow } = perftool;
  perftool.follow();
  perftool.scatter(found, chosenRow);
  perftool.accuracy(found, chosenRow);
  perftool.distributions(found, chosenRow);
  perftool.heat(chosenRow);
  perftool.layers();
  perftool.roofline(chosenRow);
};

// A slider that is dragged changes faster than charts can follow.
perftool.changed = () => {
  if (perftool.waiting) return;
  perftool.waiting = true;
  requestAnimationFrame(() => {
    perftool.waiting = false;
    perftool.update();
  });
};

// Where too many could be chosen nothing was foreseen: the page shows the run's own choice, and says so. Who passes
// the run's own limits takes no statistics; how those stand against the choice does.
perftool.withoutChoosing = () => {
  const { rows, chosen, candidates, foreseen } = perftool.content;
  const row = chosen === null ? -1 : rows.id.indexOf(chosen);
  document.getElementById("limits-body").hidden = true;
  document.getElementById("limits-unknown").hidden = false;
  perftool.chosenRow = row < 0 ? null : row;
  const kept = perftool.keeping(foreseen, perftool.limitsOf(foreseen, perftool.bounds));
  const refused = new Map(perftool.content.refused.map((candidate) => [candidate, null]));
  const passes = perftool.passing(foreseen, kept, refused);
  perftool.found = { kept, passes, refused, chosen: row < 0 ? null : candidates.indexOf(row), leader: null, runnerUp: null };
  document.getElementById("choice-live").hidden = true;
  document.getElementById("choice-full").open = true;
  const { whyNot } = perftool;
  const untold = (candidate) => candidate !== perftool.found.chosen && (passes[candidate] || refused.has(candidate));
  perftool.whyNot = (found, candidate) => (untold(candidate) ? "see perftool recommend" : whyNot(found, candidate));
  perftool.drawCharts();
  perftool.drawTable();
};

// ---------------------------------------------------------------- theme, printing, copying

perftool.dark = () => {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};

perftool.buildTheme = () => {
  const button = document.getElementById("theme");
  const show = () => { button.textContent = perftool.dark() ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = perftool.dark() ? "light" : "dark";
    show();
    perftool.drawCharts();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    show();
    perftool.drawCharts();
  });
  show();
  let before;
  addEventListener("beforeprint", () => {
    before = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    perftool.printing = true;
    // On paper nothing opens: what is folded is printed too.
    for (const part of document.querySelectorAll("details:not([open])")) {
      part.open = true;
      part.dataset.folded = "yes";
    }
    perftool.drawCharts();
    perftool.drawTable();
  });
  addEventListener("afterprint", () => {
    if (before === undefined) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = before;
    perftool.printing = false;
    for (const part of document.querySelectorAll("details[data-folded]")) {
      part.open = false;
      delete part.dataset.folded;
    }
    perftool.drawCharts();
    perftool.drawTable();
  });
};

perftool.buildCopying = () => {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copy);
      getSelection().selectAllChildren(source);
      let copied = document.execCommand("copy");
      if (!copied && navigator.clipboard) {
        copied = await navigator.clipboard.writeText(source.textContent).then(() => true, () => false);
      }
      button.textContent = copied ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
};

perftool.buildChoices = () => {
  const { columns, rows, layers, rooflines } = perftool.content;
  const offer = (id, options) => {
    const select = document.getElementById(id);
    for (const [value, text] of options) select.append(perftool.element("option", { value }, text));
    select.closest("label").hidden = options.length < 2;
    select.addEventListener("change", () => {
      select.dataset.taken = "yes";
      perftool.drawCharts();
    });
  };
  const measured = columns.filter(({ name }) => rows.figures[name].point.some((value) => value !== null));
  const names = ["throughput", "latency_p50", "latency_p95", "latency_sync", "peak_rss", "energy", "efficiency"];
  offer("heat-metric", measured.filter(({ name }) => names.includes(name)).map(({ name, label }) => [name, label]));
  offer("layers-profile", layers.map(({ id, device }, at) => [at, perftool.devices().length > 1 ? `${id} on ${device}` : id]));
  offer("roofline-device", rooflines.map(({ device }, at) => [at, device]));
  document.getElementById("layers-by").addEventListener("change", perftool.drawCharts);
};

// Profiles and rooflines are those of the choice, until the reader takes another.
perftool.follow = () => {
  const { rows, layers, rooflines } = perftool.content;
  const row = perftool.chosenRow;
  if (row === null) return;
  const show = (id, at) => {
    const select = document.getElementById(id);
    if (at >= 0 && !select.dataset.taken) select.value = String(at);
  };
  const device = rows.device[row];
  const mine = layers.findIndex((one) => one.id === rows.id[row]);
  show("layers-profile", mine >= 0 ? mine : layers.findIndex((one) => one.device === device));
  show("roofline-device", rooflines.findIndex((one) => one.device === device));
};

perftool.start = () => {
  perftool.found = null;
  perftool.chosenRow = null;
  perftool.bounds = perftool.ownBounds();
  perftool.buildTable();
  perftool.buildChoices();
  perftool.buildTheme();
  perftool.buildCopying();
  perftool.buildDetails();
  perftool.buildState();
  if (perftool.content.foreseen.leads === null) {
    perftool.readFragment();
    perftool.bounds = perftool.ownBounds();
    perftool.withoutChoosing();
    return;
  }
  perftool.buildLimits();
  // Where nothing can be chosen a limit changes nothing.
  document.getElementById("limits").hidden = perftool.content.foreseen.ids.length === 0;
  if (perftool.readFragment()) perftool.setBounds(perftool.bounds);
  perftool.update();
};

perftool.start();
