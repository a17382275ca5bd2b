"use strict";
// The card of the choice: what it is, how sure that is, and what would change it.

perftool.showChoice = (found) => {
  const { rows, objective } = perftool.content;
  const row = perftool.chosenRow;
  document.getElementById("choice").classList.toggle("nothing", row === null);
  const own = row !== null && rows.id[row] === perftool.content.chosen;
  const nothing = perftool.content.foreseen.ids.length === 0;
  const same = perftool.isOwn();
  perftool.setText("choice-asked", nothing ? "No recommendation" : row === null && same ? "Under the run's own limits" : same ? "Recommended under the run's own limits" : own ? "Still the choice under your limits"
    : "Chosen under your limits");
  perftool.setText("choice-id", row !== null ? rows.id[row] : nothing ? perftool.nothingMeasured()
    : "Nothing passes these limits");
  perftool.setText("choice-what", row === null ? "" : perftool.whatIs(row));
  perftool.setText("choice-why", row === null ? perftool.whyNothing() : `${perftool.whyChosen(found)}.`);
  perftool.fill("choice-figures", row === null ? [] : perftool.tiles(row, objective.metric));
  perftool.fill("choice-gains", row === null ? [] : perftool.gains(found).map(([ratio, told]) =>
    perftool.element("li", {}, perftool.element("strong", {}, ratio), ` ${told}`)));
  perftool.showConfirmation(found);
  perftool.fill("choice-notes", perftool.notes(found, row).map((note) => perftool.element("li", {}, note)));
  perftool.setText("choice-relaxing", same && perftool.content.card.relaxing !== null ? perftool.sentence(perftool.content.card.relaxing) : "");
  document.getElementById("choice-reasons").hidden = !nothing || document.getElementById("unmeasured") === null;
  perftool.setText("choice-command", perftool.command());
  const compile = row === null ? null : perftool.compileText(row);
  document.getElementById("choice-compile-block").hidden = compile === null;
  perftool.setText("choice-compile", compile ?? "");
};

perftool.whatIs = (row) => {
  const { rows } = perftool.content;
  const plural = (count, one) => `${count ?? "?"} ${one}${count === 1 ? "" : "s"}`;
  return `${rows.precision[row]} on ${rows.device[row]}, batch ${rows.batch[row]}, ${plural(rows.streams[row], "stream")}, ` +
    `${plural(rows.requests[row], "request")} in flight`;
};

// The limits are those of the run.
perftool.isOwn = () => {
  const sorted = (bounds) => JSON.stringify(Object.entries(bounds).sort());
  return sorted(perftool.bounds) === sorted(perftool.ownBounds());
};

// How many times better the choice is than the baselines, the best in f32 and its runner-up; a faster one that misses a
// limit says which.
perftool.gains = (found) => {
  const { rows, foreseen, card } = perftool.content;
  const gains = (foreseen.gains[found.chosen] || []).map((gain) => {
    const over = rows.id.indexOf(gain.over);
    const misses = over >= 0 && gain.point < 1 ? perftool.missesOf(over) : [];
    return [perftool.times(gain), `${card.measure} ${card.named[`${gain.over} ${gain.what}`]}` + (misses.length ? `, but that misses a limit: ${misses.join("; ")}` : "")];
  });
  const rival = perftool.rival(found);
  return rival === null ? gains : [...gains, rival];
};

// The runner-up: by how much it is behind where that was worked out, and how it stands against the leader.
perftool.rival = (found) => {
  if (found.runnerUp === null) return null;
  const { card, chosen } = perftool.content;
  const own = perftool.isOwn() && perftool.content.rows.id[perftool.chosenRow] === chosen ? card.runner_up : null;
  const fresh = found.fresh ? found.fresh.gains[found.runnerUp] : undefined;
  const stands = { l: "the leader, tied", t: "tied", u: "undecided", b: "undecided", w: "beaten" }[found.standing(found.runnerUp)];
  const name = `the runner-up, ${perftool.idOf(found.runnerUp)}${fresh ? ", in the fresh rounds" : ` (${stands})`}`;
  const ratio = fresh ?? own;
  return ratio ? [perftool.times(ratio), `${card.measure} ${name}`] : ["", `${name[0].toUpperCase()}${name.slice(1)}`];
};

// The figures of the choice, and of whatever is limited now.
perftool.tiles = (row, objective) => {
  const { rows } = perftool.content;
  const limited = Object.keys(perftool.bounds).filter((metric) => metric !== "top1_drop" && metric !== "peak_rss");
  const names = [objective, "throughput", "latency_p50", ...limited, "latency_p95", "top1_drop", "peak_rss"];
  return [...new Set(names)].filter((name) => rows.figures[name] && rows.figures[name].point[row] !== null).map((name) => {
    const { called } = perftool.column(name);
    const [value, unit, ends] = perftool.written(name, row);
    return perftool.element("div", { class: "tile" }, perftool.element("dt", {}, called),
      perftool.element("dd", {}, perftool.element("strong", {}, value), ` ${unit}`, perftool.element("small", {}, ends)));
  });
};

// A figure in three parts: the number, its unit, and its interval, or why it has none.
perftool.written = (name, row) => {
  const { rows } = perftool.content;
  const { unit, digits, spread } = perftool.column(name);
  const { point, low, high } = perftool.figureOf(name, row);
  if (name === "top1_drop" && rows.reference[row]) return ["none", "", "it is the reference"];
  const least = low === point && high === null ? "≥ " : "";
  const bare = spread && low === null && high === null;
  const visits = `${rows.visits[row]} visit${rows.visits[row] === 1 ? "" : "s"}`;
  return [least + perftool.fixed(point, perftool.decimals({ point, low, high }, digits)), unit, bare ? `no interval: ${visits}` : perftool.interval(name, row).trim()];
};

perftool.showConfirmation = (found) => {
  const badge = document.getElementById("choice-confirmed");
  badge.hidden = found.chosen === null;
  perftool.setText("choice-fresh", "");
  if (found.chosen === null) return;
  const why = perftool.whyUnconfirmed(found);
  const seen = found.fresh ? Object.entries(found.fresh.seen).map(([name, estimate]) => {
    const { called, unit, digits } = perftool.column(name);
    return `${called} ${estimate.point.toFixed(digits)} ${unit}${perftool.span(estimate, (value) => value.toFixed(digits))}`;
  }) : [];
  perftool.setText("choice-fresh", seen.length ? `There: ${seen.join(", ")}.` : "");
  badge.className = why === null ? "badge sure" : "badge unsure";
  badge.textContent = why === null ? perftool.confirmedIn(found.fresh) : `not confirmed: ${why}`;
};

perftool.notes = (found, row) => {
  const refused = [...found.refused].map(([candidate, refusal]) =>
    `Not ${perftool.idOf(candidate)}, which was chosen before: ${perftool.refusalText(refusal)}.`);
  if (row === null) {
    return [...refused, ...perftool.nearest().map(({ candidate }) =>
      `Nearest: ${perftool.idOf(candidate)}, ${perftool.missesOf(perftool.rowOf(candidate)).join("; ")}.`)];
  }
  const { needs } = perftool.content.card;
  const uncertain = perftool.crossed(row).map(({ metric, own, ...control }) => {
    const need = perftool.bounds[metric] === own ? needs.find((one) => one.row === row && one.metric === metric) : undefined;
    return `Uncertain: its interval crosses the limit, ${perftool.limitText(control, perftool.bounds[metric])}` +
      (need ? `; ${need.text}.` : ".");
  });
  return [...refused, ...uncertain, ...perftool.warningsOf(found).map(perftool.sentence)];
};

// What a reader is to be warned of in a choice: gains that are not known, and what fresh rounds hold against it.
perftool.warningsOf = ({ chosen }) => {
  const { unknown, sentences, fresh: all } = perftool.content.foreseen;
  const fresh = all.find((one) => one.candidate === chosen);
  return [...(unknown[chosen] || []).map((number) => sentences[number]), ...(fresh ? fresh.warnings : [])];
};

perftool.sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

perftool.whyNothing = () => {
  const { foreseen } = perftool.content;
  if (!foreseen.ids.length) return "";
  const never = foreseen.controls.filter(({ metric }) =>
    perftool.bounds[metric] !== undefined && foreseen.columns[metric].every((value) => value === null));
  const whys = [...new Set(never.flatMap(({ metric }) => foreseen.ids.map((_, row) => foreseen.sentences[foreseen.missing[metric][row]])))];
  return `None of ${foreseen.ids.length} measured configurations passes.` + (never.length
    ? ` ${perftool.sentence(whys.length === 1 ? whys[0].replace(/ not measured$/, " was not measured") : `no configuration has a figure of ${never[0].called}`)} ` +
      `Nothing can keep a limit on it: switch that limit off to choose without.` : "");
};

perftool.nothingMeasured = () => {
  const { status } = perftool.content.rows;
  const count = (which) => status.filter((one) => one === which).length;
  const counts = [["failed", count("failed")], ["skipped", count("skipped")], ["without a figure to choose by", count("ok")]]
    .filter(([, many]) => many).map(([what, many]) => `${many} ${what}`);
  return `Nothing was measured${counts.length ? `: ${counts.join(", ")}` : ""}`;
};
