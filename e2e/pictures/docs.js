// The page of the API's document, by the names that its parts have there.
() => {
  const block = (method, path) =>
    [...document.querySelectorAll(".opblock")].find((one) =>
      one.querySelector(".opblock-summary-method").textContent.toLowerCase() === method
      && one.querySelector("[data-path]").dataset.path === path);
  const boxOf = (element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x: x + scrollX, y: y + scrollY, width, height };
  };
  const canBeScrolled = (element) => {
    for (let one = element; one && one !== document.body; one = one.parentElement) {
      if (["auto", "scroll"].includes(getComputedStyle(one).overflowX)) return true;
    }
    return false;
  };
  const live = (method, path) => block(method, path).querySelector(".live-responses-table .response .response-col_description");
  return {
    operations: () => [...document.querySelectorAll(".opblock")].map((one) => [
      one.querySelector(".opblock-summary-method").textContent.toLowerCase(),
      one.querySelector("[data-path]").dataset.path,
    ]),
    open: (method, path) => block(method, path).querySelector(".opblock-summary-control").click(),
    opened: () => document.querySelectorAll(".opblock.is-open").length,
    // The button stands there before the page has looked up what it is for.
    canExecute: (method, path) =>
      Boolean(block(method, path).querySelector("button.execute") && block(method, path).querySelector(".responses-table .response")),
    focusBody: (method, path) => block(method, path).querySelector("textarea.body-param__text").focus(),
    execute: (method, path) => block(method, path).querySelector("button.execute").click(),
    // The answer as it came; none yet: null.
    answer: (method, path) => live(method, path)?.querySelector(".highlight-code pre, .microlight")?.textContent ?? null,
    // An operation down to its first documented answers; the others look the same.
    box: (method, path) => {
      const box = boxOf(block(method, path));
      return { ...box, height: Math.min(box.height, 2000) };
    },
    authorize: () => {
      document.querySelector(".auth-wrapper .authorize").click();
      return new Promise((done) => setTimeout(() => {
        document.querySelector(".auth-container input").focus();
        done(true);
      }, 500));
    },
    authorized: () => {
      document.querySelector(".auth-container button.authorize").click();
      return new Promise((done) => setTimeout(() => {
        document.querySelector(".auth-container .btn-done, .auth-btn-wrapper .btn-done").click();
        done(true);
      }, 500));
    },
    // What reaches over the screen's edge, whether it is cut off there or widens the page. A page that says nothing of a viewport is laid
    // out wider than the phone, and shrunk.
    wide: (screen) =>
      [...document.querySelectorAll("*")]
        .filter((one) => one.getBoundingClientRect().right > screen + 1 && !canBeScrolled(one.parentElement))
        .map((one) => `${one.tagName}.${one.className} ${one.textContent.trim().slice(0, 40)}`)
        .slice(0, 10),
  };
}
