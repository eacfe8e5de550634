// What can be measured of a mail that is shown: how wide it is, its links, and how well its letters stand out.
(screen) => {
  const number = (text) => text.match(/[\d.]+/g).map(Number);

  // The colour under an element: of the nearest one that has any.
  const under = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const [red, green, blue, alpha = 1] = number(getComputedStyle(one).backgroundColor);
      if (alpha > 0) return [red, green, blue];
    }
    return [255, 255, 255];
  };

  // WCAG 2.1, relative luminance.
  const luminance = (colour) => {
    const [red, green, blue] = colour.map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };

  const contrast = (element) => {
    const above = luminance(number(getComputedStyle(element).color).slice(0, 3));
    const below = luminance(under(element));
    return (Math.max(above, below) + 0.05) / (Math.min(above, below) + 0.05);
  };

  const isShown = (element) => {
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    return style.visibility !== "hidden" && style.opacity !== "0" && box.width > 1 && box.height > 1;
  };

  const elements = [...document.body.querySelectorAll("*")].filter(isShown);
  const withWords = elements.filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()));
  const links = [...document.querySelectorAll("a[href]")].filter(isShown);
  return {
    lang: document.documentElement.lang,
    text: document.body.innerText,
    wide: elements
      .filter((element) => element.getBoundingClientRect().right > screen + 1)
      .map((element) => `${element.tagName} ${element.textContent.trim().slice(0, 40)}`),
    links: links.map((link) => link.getAttribute("href")),
    buttons: links
      .filter((link) => link.closest(".button"))
      .map((link) => ({ text: link.textContent, height: link.getBoundingClientRect().height })),
    contrasts: withWords.map((element) => ({
      words: element.textContent.trim().slice(0, 30),
      contrast: Math.round(contrast(element) * 100) / 100,
    })),
  };
}
