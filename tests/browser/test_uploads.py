"""What the page sends of a canvas: once, however often Gradio asks for it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, Route

from tests.browser.actions import advanced, answered, drawn, run, settle, stroke, tab

SEND = """async ([bytes, address]) => {
  const form = new FormData();
  form.append("files", new File([new Uint8Array(bytes)], "layer_0.png"));
  const answer = await fetch(address, { method: "POST", body: form }).catch(() => null);
  return answer && [answer.status, await answer.text()];
}"""
PLAIN = "/gradio_api/upload"
# Counts how often the canvas is made into a file.
COUNT = """() => {
  window.exports = 0;
  const make = HTMLCanvasElement.prototype.toBlob;
  HTMLCanvasElement.prototype.toBlob = function (...how) {
    window.exports += 1;
    return make.apply(this, how);
  };
}"""


def test_equal_files_are_sent_once_and_what_did_not_arrive_again(page: Page) -> None:
    answers: list[Callable[[Route], None]] = []
    page.route("**/gradio_api/upload*", lambda route: answers.pop(0)(route) if answers else route.abort())

    def sent(bytes_: list[int], address: str = PLAIN) -> object:
        return page.evaluate(SEND, [bytes_, address])

    def taken(name: str) -> Callable[[Route], None]:
        return lambda route: route.fulfill(json=[name])

    answers += [lambda route: route.abort(), lambda route: route.fulfill(status=500, body="full"), taken("a")]
    assert sent([1, 2]) is None
    page.evaluate("studio.connection.lost = false")  # until which nothing is taken for arrived
    assert sent([1, 2]) == [500, "full"]
    assert sent([1, 2]) == [200, '["a"]'] == sent([1, 2])
    assert not answers
    answers += [taken("b"), taken("c"), taken("d"), taken("e")]
    assert sent([1, 3]) == [200, '["b"]']
    assert sent([1, 2, 0]) == [200, '["c"]']
    assert sent([1, 2], f"{PLAIN}?upload_id=0") == [200, '["d"]']  # whose progress is shown
    page.evaluate("studio.connection.lost = true")
    assert sent([1, 2]) == [200, '["e"]']  # another server may be there
    assert not answers


def test_a_canvas_is_read_and_sent_once_after_a_stroke_whatever_runs(page: Page) -> None:
    tab(page, "Inpaint")
    settle(page)
    drawn(page)
    answered(page)
    page.evaluate(COUNT)
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if PLAIN in request.url else None)
    stroke(page, (0.35, 0.8), (0.55, 0.8))
    page.wait_for_function("document.querySelector('#inpaint-bar p').textContent.startsWith('Live draft')")
    answered(page)
    assert page.evaluate("window.exports") == len(sent) == 2  # the picture, and the paint
    advanced(page, "inpaint", 3)
    answered(page)
    run(page, "inpaint")
    tab(page, "Generate")
    run(page, "generate")
    answered(page)
    assert page.evaluate("window.exports") == len(sent) == 2
