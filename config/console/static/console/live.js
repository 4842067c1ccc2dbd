"use strict";
// Replaces the inside of every [data-live] element with the fragment at that address, data-every milliseconds after the last answer.
// Reads only. Rests in hidden tabs, while something inside has the focus or is selected, and for good when the answer says X-Live-Stop.
{
  const inUse = (element) => {
    const selection = document.getSelection();
    return element.contains(document.activeElement)
      || (selection && !selection.isCollapsed && element.contains(selection.anchorNode));
  };

  const fetchFragment = async (element) => {
    const answer = await fetch(element.dataset.live, {
      credentials: "same-origin",
      headers: { "X-Live": "1" },
      redirect: "error", // a redirect leads to the log-in page: never show that inside a fragment
      signal: AbortSignal.timeout(15000),
    });
    if (!answer.ok) throw new Error(String(answer.status));
    return { html: await answer.text(), stop: answer.headers.get("X-Live-Stop") === "1" };
  };

  const follow = (element) => {
    const every = Math.max(500, Number(element.dataset.every) || 2000);
    let shown = null;
    const again = (delay) => setTimeout(refresh, delay);
    const refresh = async () => {
      if (!element.isConnected) return;
      if (document.hidden || inUse(element)) { again(every); return; }
      try {
        const { html, stop } = await fetchFragment(element);
        if (html !== shown) { element.innerHTML = html; shown = html; }
        delete element.dataset.stale;
        if (!stop) again(every);
      } catch {
        element.dataset.stale = "1";
        again(every * 3);
      }
    };
    again(element.dataset.now === "1" ? 0 : every);
  };

  document.querySelectorAll("[data-live]").forEach(follow);
}
