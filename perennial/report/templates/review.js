"use strict";
// Marks live in the radio buttons; this counts them, keeps them over a reload, and writes the file.
(() => {
  const about = document.getElementById("review").dataset;
  const bar = document.getElementById("bar");
  const reviewer = document.getElementById("reviewer");
  const count = document.getElementById("count");
  const download = document.getElementById("download");
  const cases = [...document.querySelectorAll(".case")];
  const fields = [...document.querySelectorAll("fieldset[data-query]")];
  const kept = `perennial-marks ${about.release} ${about.gate}`;
  const chosen = (field) => field.querySelector("input:checked");

  const many = (list, name) => `${list.length} ${name}${list.length === 1 ? "" : "s"}`;

  function marks() {
    const pairs = [], documents = [];
    for (const field of fields) {
      const value = chosen(field)?.value;
      if (!value) continue;
      const query = field.dataset.query;
      if (field.dataset.doc === undefined) pairs.push({ query, candidate: value });
      else documents.push({ query, doc_id: field.dataset.doc, relevant: value === "relevant" });
    }
    return { pairs, documents };
  }

  function show() {
    const { pairs, documents } = marks();
    const all = pairs.length + documents.length;
    const said = `${many(pairs, "pair")}, ${many(documents, "document")}`;
    count.textContent = all ? said : "No marks yet";
    download.disabled = !all || !reviewer.value.trim();
    download.title = reviewer.value.trim() ? "" : "enter your name first";
    for (const item of cases) item.classList.toggle("marked", !!item.querySelector("input:checked"));
    const values = fields.map(chosen).filter(Boolean).map((input) => [input.name, input.value]);
    // A page inside a sandbox has no storage: the marks are then lost on a reload, and nothing else.
    try {
      localStorage.setItem(kept, JSON.stringify({ name: reviewer.value, values }));
    } catch {}
  }

  function restore() {
    let saved = null;
    try {
      saved = JSON.parse(localStorage.getItem(kept));
    } catch {}
    if (!saved) return;
    reviewer.value = saved.name;
    for (const [name, value] of saved.values)
      for (const input of document.getElementsByName(name)) input.checked ||= input.value === value;
  }

  function save() {
    const file = {
      format_version: 1,
      release: about.release || null,
      gate: about.gate,
      reviewer: reviewer.value.trim(),
      marked_at: new Date().toISOString().replace(/\.\d+Z$/, "Z"),
      marks: marks(),
    };
    const text = JSON.stringify(file, null, 1) + "\n";
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = `marks-${about.release || "unpublished"}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  function step(by) {
    const now = cases.indexOf(document.activeElement.closest(".case"));
    const next = cases[Math.min(Math.max(now + by, 0), cases.length - 1)];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  }

  const keys = { b: "better", s: "same", w: "worse" };
  document.addEventListener("keydown", (event) => {
    const typing = event.target === reviewer || event.ctrlKey || event.metaKey || event.altKey;
    if (typing) return;
    if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
    const field = event.target.closest?.(".case")?.querySelector("fieldset:not([data-doc])");
    if (!field) return;
    const input = keys[event.key] && field.querySelector(`[value=${keys[event.key]}]`);
    if (input) input.checked = true;
    if (event.key === "x" && chosen(field)) chosen(field).checked = false;
    show();
  });
  document.addEventListener("click", (event) => {
    const field = event.target.closest(".clear")?.closest("fieldset");
    if (field && chosen(field)) chosen(field).checked = false;
    if (field) show();
  });
  document.addEventListener("change", show);
  reviewer.addEventListener("input", show);
  bar.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!download.disabled) save();
  });
  restore();
  show();
})();
