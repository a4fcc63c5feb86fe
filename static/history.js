// Back and Forward go to the tab that was seen before or after. By themselves they would leave the page, and what was
// painted and made there would be gone: to Gradio, tabs are no places.
(() => {
  const shown = () => document.querySelector("#tabs [role=tab][aria-selected=true]")?.dataset.tabId;
  let seen; // the tab last shown
  new MutationObserver(() => {
    const tab = shown();
    if (!tab || tab === seen) return;
    if (!seen) history.replaceState({ tab }, ""); // also where the page was loaded anew on another
    else if (history.state?.tab !== tab) history.pushState({ tab }, "");
    seen = tab;
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-selected"] });
  addEventListener("popstate", ({ state }) => {
    if (state?.tab) document.querySelector(`#tabs [role=tab][data-tab-id="${CSS.escape(state.tab)}"]`)?.click();
  });
})();
