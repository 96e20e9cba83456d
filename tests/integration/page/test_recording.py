"""Recording on the page: what is heard arrives as it sounded, and the microphone is closed in time."""

import base64
import io
import time

import httpx
import numpy as np
import soundfile
from playwright.sync_api import Page, expect

from tests.integration.page.conftest import EXAMPLE, job_of
from tests.integration.processes import wait_until

# In place of the microphone: 0.5 in one channel and 0.1 in the other, without end.
_STEADY = """() => {
    const context = new AudioContext({sampleRate: 48_000});
    const both = context.createChannelMerger(2);
    [0.5, 0.1].forEach((offset, channel) => {
        const source = new ConstantSourceNode(context, {offset});
        source.connect(both, 0, channel);
        source.start();
    });
    const {stream} = both.connect(new MediaStreamAudioDestinationNode(context, {channelCount: 2}));
    navigator.mediaDevices.getUserMedia = async () => stream;
}"""
_RECORDED = """async seconds => {
    const {Recording} = await import("/static/page/recorder.js");
    const recording = new Recording();
    await recording.start();
    await new Promise(resolve => setTimeout(resolve, 1000 * seconds));
    const bytes = new Uint8Array(await (await recording.stop()).arrayBuffer());
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return btoa(text);
}"""
# Counts the streams that were asked for, and holds each back for a while.
_WATCHED = """delayMs => {
    window.streams = [];
    const {mediaDevices} = navigator;
    const open = mediaDevices.getUserMedia.bind(mediaDevices);
    mediaDevices.getUserMedia = async asked => {
        window.asked = [...(window.asked ?? []), asked.audio];
        const stream = await open(asked);
        window.streams.push(stream);
        await new Promise(resolve => setTimeout(resolve, delayMs));
        return stream;
    };
}"""
_REFUSING = """name => {
    navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("", name); };
}"""
_LIVE = "streams.flatMap(each => each.getTracks()).filter(track => track.readyState === 'live').length"
_DROP = """([bytes, name]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([new Uint8Array(bytes)], name));
    const how = {dataTransfer: carried, bubbles: true, cancelable: true};
    document.body.dispatchEvent(new DragEvent("drop", how));
}"""


def test_a_recording_is_sent_and_the_microphone_closed(page: Page, client: httpx.Client) -> None:
    page.evaluate(_WATCHED, 0)
    page.click("#record")
    expect(page.locator("#record")).to_have_text("Stop recording")
    expect(page.locator("#record-time")).to_have_attribute("aria-hidden", "true")
    assert page.evaluate(_LIVE) == 1
    time.sleep(2.0)  # of beeps
    page.click("#record")
    page.wait_for_selector("#result:not([hidden])")
    assert page.evaluate(_LIVE) == 0
    expect(page.locator("#record")).to_have_text("Record")
    # What makes speech clearer changes an instrument's timbre.
    plain = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
    assert page.evaluate("asked") == [plain]
    sent = client.get(f"/jobs/{job_of(page)}").json()["input"]
    assert (sent["filename"], sent["format"], sent["channels"]) == ("recording.wav", "wav", 1)
    assert sent["sample_rate_hz"] >= 16_000
    assert sent["duration_s"] > 1.0


def test_samples_arrive_untouched_as_the_mean_of_both_channels(page: Page) -> None:
    page.evaluate(_STEADY)
    data = base64.b64decode(page.evaluate(_RECORDED, 1.0))
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="int16")
    assert rate_hz == 48_000
    assert samples.ndim == 1
    values, counts = np.unique(samples[np.flatnonzero(samples)[0] :], return_counts=True)
    assert values[counts.argmax()] == round(0.3 * 32_767)
    assert counts.max() > 0.9 * counts.sum()


def test_a_recording_ends_by_itself_when_it_is_as_long_as_one_may_be(page: Page) -> None:
    page.evaluate(_STEADY)
    call = """async mostSamples => {
        const context = new AudioContext({sampleRate: 48_000});
        await context.audioWorklet.addModule("/static/page/recorder_worklet.js");
        const processorOptions = {mostSamples};
        const node = new AudioWorkletNode(context, "recorder", {numberOfOutputs: 0, processorOptions});
        context.createMediaStreamSource(await navigator.mediaDevices.getUserMedia()).connect(node);
        const sizes = [];
        await new Promise(resolve => {
            node.port.onmessage = ({data}) => (data === null ? resolve() : sizes.push(data.length));
        });
        return sizes;
    }"""
    assert page.evaluate(call, 10_000) == [4096, 4096, 1808]


def test_two_quick_presses_open_one_microphone(page: Page) -> None:
    page.evaluate(_WATCHED, 500)
    page.evaluate("['record', 'record'].forEach(id => document.getElementById(id).click())")
    expect(page.locator("#record")).to_have_text("Stop recording")
    assert page.evaluate("streams.length") == 1
    assert page.evaluate(_LIVE) == 1


def test_a_dropped_file_ends_a_recording(page: Page) -> None:
    page.evaluate(_WATCHED, 0)
    page.click("#record")
    expect(page.locator("#record")).to_have_text("Stop recording")
    page.evaluate(_DROP, [list(EXAMPLE.read_bytes()), EXAMPLE.name])
    expect(page.locator("#record")).to_have_text("Record")
    wait_until(lambda: page.evaluate(_LIVE) == 0, 20.0, "the closed microphone")
    page.wait_for_selector("#result:not([hidden])")
    assert page.inner_text("#file-name") == EXAMPLE.name


def test_a_file_dropped_while_the_microphone_opens_closes_it(page: Page) -> None:
    page.evaluate(_WATCHED, 1_000)
    page.click("#record")
    page.evaluate(_DROP, [list(b"no sound"), "song.wav"])
    wait_until(lambda: page.evaluate("streams.length") == 1, 20.0, "the microphone")
    wait_until(lambda: page.evaluate(_LIVE) == 0, 20.0, "the closed microphone")
    expect(page.locator("#record")).to_have_text("Record")
    expect(page.locator("#fault")).to_contain_text("Not a supported kind of recording")


def test_why_there_is_no_microphone_is_said(page: Page) -> None:
    for name, words in (("NotFoundError", "there is none"), ("NotAllowedError", "does not allow it")):
        page.evaluate(_REFUSING, name)
        page.click("#record")
        expect(page.locator("#fault")).to_contain_text(words)
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")  # as on plain http
    page.click("#record")
    expect(page.locator("#fault")).to_contain_text("https")
    expect(page.locator("#record")).to_have_text("Record")
