"use strict";

const element = (id) => document.getElementById(id);

async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  const key = element("key").value;
  if (key) headers.Authorization = `Bearer ${key}`;
  const options = body ? { method: "POST", body: JSON.stringify(body) } : {};
  const answer = await fetch(path, { headers, ...options });
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error);
  return value;
}

// Everything goes in as text: a title is a stranger's words.
function node(name, text, className) {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function show(arm, result, others) {
  const list = element(arm);
  list.replaceChildren();
  for (const hit of result.hits) {
    const item = node("li", "");
    if (others && !others.has(hit.doc_id)) item.className = "new";
    item.append(node("span", hit.title || hit.doc_id, "title"));
    if (hit.first_words) item.append(node("p", hit.first_words));
    item.append(node("span", `${hit.doc_id} · ${hit.score.toFixed(3)}`, "id"));
    list.append(item);
  }
  if (!result.hits.length) list.append(node("li", "nothing found"));
}

function about(arm, release) {
  const share = release.stage ? `, ${release.stage}, ${100 * release.live_share} % of sessions` : "";
  element(`${arm}-about`).textContent =
    `${release.release_id}: ${release.documents} documents of ${release.watermark.slice(0, 16)}${share}`;
}

async function both(event) {
  event.preventDefault();
  element("problem").hidden = true;
  try {
    const body = { query: element("query").value, k: Number(element("k").value), titles: true };
    if (element("slice").value) body.slice = element("slice").value;
    const releases = await ask("/releases");
    const arms = releases.candidate?.is_loaded ? ["stable", "candidate"] : ["stable"];
    const answers = await Promise.all(arms.map((arm) => ask("/search", { ...body, arm })));
    const ids = answers.map((answer) => new Set(answer.results[0].hits.map((hit) => hit.doc_id)));
    for (const [i, arm] of arms.entries()) {
      about(arm, releases[arm]);
      show(arm, answers[i].results[0], ids[1 - i]);
    }
    if (arms.length === 1) {
      element("candidate-about").textContent = "no candidate: the channel rolls nothing out";
      element("candidate").replaceChildren();
    }
  } catch (error) {
    element("problem").textContent = error.message;
    element("problem").hidden = false;
  }
}

element("form").addEventListener("submit", both);
