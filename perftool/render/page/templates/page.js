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

// ---------------------------------------------------------------- the choice, told

perftool.showChoice = (found) => {
  const { rows, objective } = perftool.content;
  const row = perftool.chosenRow;
  document.getElementById("choice").classList.toggle("nothing", row === null);
  const own = row !== null && rows.id[row] === perftool.content.chosen;
  const same = JSON.stringify(Object.entries(perftool.bounds).sort()) === JSON.stringify(Object.entries(perftool.ownBounds()).sort());
  perftool.setText("choice-asked", same ? "Recommended under the run's own limits" : own ? "Still the choice under your limits"
    : "Chosen under your limits");
  perftool.setText("choice-id", row === null ? "Nothing passes these limits" : rows.id[row]);
  perftool.setText("choice-what", row === null ? "" : perftool.whatIs(row));
  perftool.setText("choice-why", row === null ? perftool.whyNothing() : `${perftool.whyChosen(found)}.`);
  perftool.fill("choice-figures", row === null ? [] : perftool.tiles(row, objective.metric));
  perftool.fill("choice-gains", row === null ? [] : (perftool.content.foreseen.gains[found.chosen] || []).map((gain) =>
    perftool.element("li", {}, perftool.element("strong", {}, perftool.times(gain)), ` ${perftool.gainOver(gain)}`)));
  perftool.showConfirmation(found);
  perftool.fill("choice-notes", perftool.notes(found, row).map((note) => perftool.element("li", {}, note)));
  perftool.setText("choice-command", perftool.command());
  const properties = row === null ? undefined : rows.properties[row];
  document.getElementById("choice-compile-block").hidden = properties === undefined;
  if (properties) {
    const device = JSON.stringify(rows.device[row]);
    perftool.setText("choice-compile", `compile_model(model, ${device}, ${JSON.stringify(properties, null, 1).replace(/\n\s*/g, " ")})`);
  }
};

perftool.whatIs = (row) => {
  const { rows } = perftool.content;
  const plural = (count, one) => `${count ?? "?"} ${one}${count === 1 ? "" : "s"}`;
  return `${rows.precision[row]} on ${rows.device[row]}, batch ${rows.batch[row]}, ${plural(rows.streams[row], "stream")}, ` +
    `${plural(rows.requests[row], "request")} in flight`;
};

perftool.gainOver = ({ what, executed_precision: precision }) =>
  what + (what.startsWith("FP32 under") && precision !== null ? `, which executed in ${precision}` : "");

perftool.tiles = (row, objective) => {
  const { rows } = perftool.content;
  const names = [objective, "throughput", "latency_p50", "latency_p95", "top1_drop", "peak_rss"];
  return [...new Set(names)].filter((name) => rows.figures[name] && rows.figures[name].point[row] !== null).map((name) => {
    const { called, unit, digits } = perftool.column(name);
    return perftool.element("div", { class: "tile" }, perftool.element("dt", {}, called),
      perftool.element("dd", {}, perftool.element("strong", {}, perftool.fixed(rows.figures[name].point[row], digits)), ` ${unit}`,
        perftool.element("small", {}, perftool.interval(name, row))));
  });
};

perftool.showConfirmation = (found) => {
  const badge = document.getElementById("choice-confirmed");
  badge.hidden = found.chosen === null;
  if (found.chosen === null) return;
  const why = perftool.whyUnconfirmed(found);
  badge.className = why === null ? "badge sure" : "badge unsure";
  badge.textContent = why === null ? perftool.confirmedIn(found.fresh) : `not confirmed: ${why}`;
};

perftool.notes = (found, row) => {
  const refused = [...found.refused].map(([candidate, refusal]) =>
    `Not ${perftool.idOf(candidate)}, which was chosen before: ${perftool.refusalText(refusal)}.`);
  if (row === null) {
    return [...refused, ...perftool.nearest().map(({ candidate }) =>
      `Nearest: ${perftool.idOf(candidate)}, ${perftool.missesOf(candidate).join("; ")}.`)];
  }
  const uncertain = perftool.crossed(row).map((control) =>
    `Uncertain: its interval crosses the limit, ${perftool.limitText(control, perftool.bounds[control.metric])}.`);
  return [...refused, ...uncertain, ...perftool.warningsOf(found).map(perftool.sentence)];
};

// What a reader is to be warned of in a choice: gains that are not known, and what fresh rounds hold against it.
perftool.warningsOf = ({ chosen, fresh }) => {
  const { unknown, sentences } = perftool.content.foreseen;
  return [...(unknown[chosen] || []).map((number) => sentences[number]), ...(fresh ? fresh.warnings : [])];
};

perftool.sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

perftool.whyNothing = () => {
  const { foreseen } = perftool.content;
  return foreseen.ids.length ? `None of ${foreseen.ids.length} measured configurations passes.` : "No configuration could be chosen.";
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
};

perftool.drawCharts = () => {
  const { found, chosenRow } = perftool;
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
    perftool.drawCharts();
    perftool.drawTable();
  });
  addEventListener("afterprint", () => {
    if (before === undefined) delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = before;
    perftool.printing = false;
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
    select.addEventListener("change", perftool.drawCharts);
  };
  const measured = columns.filter(({ name }) => rows.figures[name].point.some((value) => value !== null));
  const names = ["throughput", "latency_p50", "latency_p95", "latency_sync", "peak_rss", "energy", "efficiency"];
  offer("heat-metric", measured.filter(({ name }) => names.includes(name)).map(({ name, label }) => [name, label]));
  offer("layers-profile", layers.map(({ id }, at) => [at, id]));
  offer("roofline-device", rooflines.map(({ device }, at) => [at, device]));
  document.getElementById("layers-by").addEventListener("change", perftool.drawCharts);
};

perftool.start = () => {
  perftool.found = null;
  perftool.chosenRow = null;
  perftool.bounds = perftool.ownBounds();
  perftool.buildTable();
  perftool.buildChoices();
  perftool.buildTheme();
  perftool.buildCopying();
  if (perftool.content.foreseen.leads === null) {
    perftool.withoutChoosing();
    return;
  }
  perftool.buildLimits();
  perftool.update();
};

perftool.start();
