"use strict";
// Every configuration in a table: sorted by any column, filtered, a page at a time.

perftool.ROWS_A_PAGE = 50;
perftool.ROWS_PRINTED = 200;
perftool.table = { sort: null, descending: false, page: 0 };

perftool.tableColumns = () => {
  const { rows, columns } = perftool.content;
  const all = document.getElementById("table-all").checked;
  const text = (heading, key, value) => ({ heading, key, value, number: false, text: (row) => value(row) ?? "–" });
  const count = (heading, key, values) => ({ heading, key, number: true, value: (row) => values[row],
    text: (row) => (values[row] === null ? "–" : String(values[row])) });
  const several = perftool.devices().length > 1;
  const found = [
    { heading: "configuration", key: "id", number: false, value: (row) => rows.id[row], text: (row) => rows.id[row] },
    ...(several || all ? [text("device", "device", (row) => rows.device[row])] : []),
    ...(all ? [text("precision", "precision", (row) => rows.precision[row])] : []),
    text("runs in", "executed", perftool.runsIn),
    count("batch", "batch", rows.batch), count("streams", "streams", rows.streams),
    count("requests", "requests", rows.requests), ...(all ? [count("threads", "threads", rows.threads),
      count("visits", "visits", rows.visits), count("samples", "samples", rows.samples)] : []),
    ...columns.filter((column) => all || column.shown).map(({ name, heading, unit }) => ({ heading: `${heading}, ${unit}`,
      key: name, number: true, value: (row) => rows.figures[name].point[row], text: (row) => perftool.figure(name, row) })),
    { heading: "not chosen because", key: "why", number: false, value: perftool.whyRow, text: perftool.whyRow, wide: true },
  ];
  if (!perftool.narrow()) return found;
  // On a narrow screen what most readers look for comes first.
  const first = ["id", perftool.content.objective.metric, "throughput", "why"];
  const early = [...new Set(first)].flatMap((key) => found.filter((column) => column.key === key));
  return [...early, ...found.filter((column) => !early.includes(column))];
};

perftool.runsIn = (row) => {
  const { executed, share } = perftool.content.rows;
  if (executed[row] === null) return null;
  return executed[row] + (share[row] === null ? "" : ` ${Math.round(100 * share[row])}%`);
};

perftool.whyRow = (row) => {
  const { rows } = perftool.content;
  if (rows.status[row] !== "ok") return perftool.whyUnmeasured(row);
  if (rows.baseline[row]) return ["a baseline, for comparison", ...perftool.missesOf(row)].join("; ");
  const candidate = perftool.candidateOf.get(row);
  if (candidate === undefined) return perftool.content.sentences[rows.lacking[row]];
  return perftool.found === null ? "" : perftool.whyNot(perftool.found, candidate);
};

// A reason that begins with what failed needs no other word for it.
perftool.whyUnmeasured = (row) => {
  const { status, reason } = perftool.content.rows;
  const told = reason[row] ?? "";
  return /^\w+ failed: /.test(told) ? told : `${status[row]}: ${told}`;
};

// Which rows the filters let through.
perftool.filtered = () => {
  const { rows } = perftool.content;
  const words = document.getElementById("table-search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const precision = document.getElementById("table-precision").value;
  const state = document.getElementById("table-state").value;
  const states = {
    all: () => true,
    measured: (row) => rows.status[row] === "ok",
    passing: (row) => perftool.found !== null && perftool.passesNow(row, perftool.found) && rows.status[row] === "ok",
    front: (row) => rows.front[row],
    dropped: (row) => rows.dropped[row] !== null,
    warned: (row) => rows.warnings[row].length > 0,
    unmeasured: (row) => rows.status[row] !== "ok",
  };
  return perftool.inOrder.filter((row) => states[state](row) && (precision === "" || rows.precision[row] === precision) &&
    words.every((word) => rows.id[row].toLowerCase().includes(word)));
};

perftool.sorted = (found, column) => {
  if (!column) return found;
  const keyed = found.map((row, at) => ({ row, at, key: column.value(row) }));
  const turn = perftool.table.descending ? -1 : 1;
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return (a.key === null) - (b.key === null) || a.at - b.at;
    return turn * (a.key < b.key ? -1 : a.key > b.key ? 1 : 0) || a.at - b.at;
  });
  return keyed.map(({ row }) => row);
};

perftool.marks = (row) => {
  const { rows } = perftool.content;
  const mark = (is, sign, title) => (is ? [perftool.element("span", { class: "mark", title, role: "img", "aria-label": title }, sign)] : []);
  const warnings = rows.warnings[row].length;
  const warned = perftool.element("button", { type: "button", class: "mark", "aria-label": `warnings of ${rows.id[row]}` }, "!");
  return [...mark(row === perftool.chosenRow, "▶", "the choice"), ...mark(rows.front[row], "◆", "on the Pareto front"),
    ...mark(rows.dropped[row] !== null, "○", "dropped by the race"), ...(warnings ? [warned] : [])];
};

perftool.drawTable = () => {
  const columns = perftool.tableColumns();
  const { table } = perftool;
  const rows = perftool.sorted(perftool.filtered(), columns.find((column) => column.key === table.sort));
  const pages = Math.max(1, Math.ceil(rows.length / perftool.ROWS_A_PAGE));
  table.page = Math.min(table.page, pages - 1);
  const from = table.page * perftool.ROWS_A_PAGE;
  const shown = perftool.printing ? rows.slice(0, perftool.ROWS_PRINTED) : rows.slice(from, from + perftool.ROWS_A_PAGE);
  perftool.fill("table-head", [perftool.element("th", { scope: "col", class: "marks" }, perftool.element("span", { class: "hidden" }, "marks")),
    ...columns.map(perftool.heading)]);
  perftool.fill("table-body", shown.map((row) => {
    const name = perftool.element("th", { scope: "row" }, perftool.element("button", { type: "button" }, perftool.content.rows.id[row]));
    const cell = (column) => perftool.element("td", { class: column.number ? "number" : column.wide ? "wide" : "short" }, column.text(row));
    const line = perftool.element("tr", { class: row === perftool.chosenRow ? "chosen" : "" },
      perftool.element("td", { class: "marks" }, ...perftool.marks(row)), name, ...columns.slice(1).map(cell));
    // Anywhere on the line, unless text was being marked; by keyboard its buttons.
    line.addEventListener("click", () => {
      if (String(getSelection()) === "") perftool.showDetails(row);
    });
    return line;
  }));
  document.getElementById("table-printed").hidden = !perftool.printing || shown.length === rows.length;
  perftool.setText("table-printed", `${shown.length} of ${rows.length}; results.json has all`);
  const last = from + shown.length;
  perftool.setText("table-count", rows.length ? `${from + 1} to ${last} of ${rows.length}` : "none");
  document.getElementById("table-back").disabled = table.page === 0;
  document.getElementById("table-on").disabled = table.page >= pages - 1;
};

perftool.heading = (column) => {
  const { table } = perftool;
  const sorted = table.sort === column.key;
  const button = perftool.element("button", { type: "button", "data-key": column.key }, column.heading +
    (sorted ? (table.descending ? " ▼" : " ▲") : ""));
  button.addEventListener("click", () => {
    table.descending = sorted ? !table.descending : column.number && perftool.bestIsMost(column.key);
    table.sort = column.key;
    table.page = 0;
    perftool.drawTable();
    document.querySelector(`#table-head button[data-key="${CSS.escape(column.key)}"]`).focus();
  });
  return perftool.element("th", { scope: "col", class: column.number ? "number" : "",
    "aria-sort": sorted ? (table.descending ? "descending" : "ascending") : "none" }, button);
};

perftool.bestIsMost = (key) => perftool.column(key)?.better === "higher";

perftool.buildTable = () => {
  const { rows } = perftool.content;
  const select = document.getElementById("table-precision");
  for (const precision of Object.keys(perftool.content.looks)) {
    if (rows.precision.includes(precision)) select.append(perftool.element("option", { value: precision }, precision));
  }
  // The best by the objective first, then what could not be chosen at all.
  const places = new Map(perftool.content.candidates.map((row, candidate) => [row, candidate]));
  perftool.candidateOf = places;
  const order = (row) => places.get(row) ?? places.size + row;
  perftool.inOrder = rows.id.map((_, row) => row).sort((a, b) => order(a) - order(b));
  for (const id of ["table-search", "table-precision", "table-state", "table-all"]) {
    document.getElementById(id).addEventListener("input", () => {
      perftool.table.page = 0;
      perftool.drawTable();
      perftool.writeFragment();
    });
  }
  matchMedia("(max-width: 639px)").addEventListener("change", perftool.drawTable);
  const turn = (by) => () => {
    perftool.table.page += by;
    perftool.drawTable();
  };
  document.getElementById("table-back").addEventListener("click", turn(-1));
  document.getElementById("table-on").addEventListener("click", turn(1));
};
