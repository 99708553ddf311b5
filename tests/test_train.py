"""training.train: the loss is CTC, lines are learned, faults are one sentence."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from simpleocr.config import CRNNConfig
from simpleocr.crnn import CRNN
from simpleocr.image import load_image
from simpleocr.inference import has_bf16
from simpleocr.preprocessing import Preprocessing, to_grey
from simpleocr.recognition import recognize
from tests.runs import (
    DIGITS,
    EIGHT,
    SHORT,
    TEXTS,
    arguments,
    assert_same_run,
    draw,
    log_of,
    png,
    refusal,
    run_to,
    write_lines,
    write_parquet,
)
from training import batches, train
from training.batches import Batch
from training.checkpoint import CheckpointError, read_state
from training.progress import MetricsLog
from training.settings import parse
from training.train import main
from training.trainee import Trainee, ctc_loss, learning_rate, memory_format, parameter_groups, update_average

pytestmark = pytest.mark.usefixtures("no_pickle")
BY_HEART = ["3141", "5926", "5358", "9793", "2384", "6264", "3383", "2795"]


def test_the_rate_rises_in_a_line_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 1000, 2.0) for step in range(1001)]
    assert rates[0] == pytest.approx(2.0 / 50)
    assert max(rates) == rates[50] == 2.0
    assert np.allclose(np.diff(rates[:50]), 2.0 / 50)
    assert all(b < a for a, b in itertools.pairwise(rates[50:]))
    assert rates[525] == pytest.approx(1.0)
    assert rates[1000] == pytest.approx(0.0, abs=1e-12)
    assert learning_rate(5000, 1000, 2.0) == pytest.approx(0.0, abs=1e-12), "past the end it stays there"


@pytest.mark.parametrize("steps", [1, 2, 3, 10])
def test_a_short_run_has_a_rate_in_every_step(steps: int) -> None:
    rates = [learning_rate(step, steps, 1.0) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[0] == 1.0


def batch_of(targets: list[list[int]]) -> Batch:
    return Batch(
        images=torch.zeros(len(targets), 1, 8, 8),
        targets=torch.tensor([i for row in targets for i in row], dtype=torch.int64),
        target_lengths=torch.tensor([len(row) for row in targets], dtype=torch.int64),
        names=[str(row) for row in targets],
    )


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(c for c, _ in itertools.groupby(path) if c)


@pytest.mark.parametrize(("steps", "classes"), [(1, 2), (3, 3), (4, 3), (5, 4)])
def test_the_loss_is_the_sum_over_all_alignments(steps: int, classes: int) -> None:
    generator = torch.Generator().manual_seed(steps)
    ids = range(1, classes)
    targets = [
        t
        for n in range(4)
        for t in itertools.product(ids, repeat=n)
        if n + sum(a == b for a, b in itertools.pairwise(t)) <= steps
    ]
    logits = 2 * torch.randn(len(targets), steps, classes, generator=generator, dtype=torch.float64)
    probs = logits.softmax(-1)
    expected = []
    for target, rows in zip(targets, probs, strict=True):
        paths = (p for p in itertools.product(range(classes), repeat=steps) if collapse(p) == target)
        total = sum(math.prod(float(rows[t, c]) for t, c in enumerate(path)) for path in paths)
        expected.append(-math.log(total) / max(1, len(target)))
    loss = ctc_loss(logits, batch_of([list(t) for t in targets]))
    assert loss.item() == pytest.approx(np.mean(expected), rel=1e-5)
    for i, target in enumerate(targets):
        assert ctc_loss(logits[i : i + 1], batch_of([list(target)])).item() == pytest.approx(
            expected[i], rel=1e-4, abs=1e-6
        )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_the_loss_is_taken_in_float32(dtype: torch.dtype) -> None:
    logits = 30 * torch.randn(2, 50, 11, generator=torch.Generator().manual_seed(0))
    half = logits.to(dtype)
    loss = ctc_loss(half, batch_of([[1, 2, 3], [4, 4]]))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(ctc_loss(half.float(), batch_of([[1, 2, 3], [4, 4]])).item(), rel=1e-6)


def test_a_target_too_long_is_not_hidden() -> None:
    logits = torch.zeros(1, 3, 3)
    assert math.isinf(ctc_loss(logits, batch_of([[1, 1, 1]])).item()), "no zero_infinity"


def test_both_heads_read_the_same_features() -> None:
    network = CRNN(CRNNConfig(DIGITS, "tiny"))
    logits, auxiliary, written = Trainee(network).eval()(torch.zeros(2, 1, 32, 50))
    assert logits.shape == auxiliary.shape == (2, 13, 11)
    assert written is None
    assert torch.equal(logits, network.eval()(torch.zeros(2, 1, 32, 50)))


def test_the_average_follows_weights_and_statistics() -> None:
    average, current = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    current(torch.randn(8, 2) + 5)
    with torch.no_grad():
        current.weight.fill_(3)
    update_average(average, current, 0.75)
    assert torch.allclose(average.weight, torch.full((2,), 1.5))
    assert current.running_mean is not None
    assert average.running_mean is not None
    assert torch.allclose(average.running_mean, 0.25 * current.running_mean)
    assert average.num_batches_tracked == current.num_batches_tracked
    update_average(average, current, 0.0)
    assert torch.equal(average.weight, current.weight)


def test_what_the_processor_can_is_known() -> None:
    assert has_bf16() in (True, False)


def test_a_log_is_cut_where_the_run_stands(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.csv", 0)
    for step in (5, 10, 15):
        state = {"step": step, "epoch": 0, "samples": step * 4, "seconds": 1.0, "batch": 1, "best": 1.0}
        log.add(state, 2.0, 1e-3, {"cer": 0.5, "accuracy": 0.25})
    assert [row["step"] for row in log_of(tmp_path)] == ["5", "10", "15"]
    assert [row["step"] for row in MetricsLog(tmp_path / "metrics.csv", 10).rows] == ["5", "10"]
    assert MetricsLog(tmp_path / "metrics.csv", 0).rows == []
    assert load_image(tmp_path / "curves.png").width > 300


def test_a_log_cut_by_a_kill_does_not_end_the_next_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("step,epoch,samples,seconds,lr,loss,cer,accuracy\n5,0,20,1.0,0.001,2.00")
    log = MetricsLog(tmp_path / "metrics.csv", 5)
    log.add({"step": 10, "epoch": 0, "samples": 40, "seconds": 1.0}, 2.0, 1e-3, {"cer": 0.5, "accuracy": 0.25})


@pytest.mark.parametrize("header", ["", "step,epoch", "step,epoch,samples,seconds,lr,loss,cer,exact,more"])
def test_a_log_of_other_columns_is_one_sentence(tmp_path: Path, header: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(f"{header}\n5,0\n" if header else "")
    with pytest.raises(
        CheckpointError, match=r"metrics\.csv has the columns .*: move it away, and the run goes on"
    ) as caught:
        MetricsLog(path, 10)
    assert f"{header or '(none)'} instead of step,epoch,samples," in str(caught.value)
    assert MetricsLog(path, 0).rows == [], "a run that begins writes its own"


@pytest.mark.slow
def test_a_run_that_cannot_go_on_with_its_log_says_so(corpus: Path, tmp_path: Path) -> None:
    argv = arguments(corpus, tmp_path / "out", "--max_steps", "2", "--save_every", "1")
    main(argv)
    (tmp_path / "out" / "metrics.csv").write_text("step,epoch\n2,0\n")
    assert "has the columns step,epoch instead of" in refusal([*argv, "--resume"])
    (tmp_path / "out" / "metrics.csv").unlink()
    main([*argv, "--resume"])


@pytest.mark.parametrize("backbone", ["tiny", "small", "base"])
def test_a_thin_network_does_not_learn_channels_last(backbone: str) -> None:
    """PyTorch 2.13 on a CPU writes beyond its memory there: pictures 464 wide ended the process by signal 11."""
    network = CRNN(CRNNConfig(DIGITS, backbone)).train()
    layout = memory_format(network)
    assert layout == (torch.contiguous_format if backbone == "tiny" else torch.channels_last)
    if backbone == "tiny":
        network.to(memory_format=layout)  # type: ignore[call-overload]
        for _ in range(3):
            network(torch.randn(4, 1, 32, 928).to(memory_format=layout)).sum().backward()


def test_the_head_may_learn_faster() -> None:
    trainee = Trainee(CRNN(CRNNConfig(DIGITS, "tiny")))
    plain = parameter_groups(trainee, parse([]))
    assert [(group["rate"], group["weight_decay"]) for group in plain] == [(1.0, 0.01), (1.0, 0.0)]
    trainee.network.stem.requires_grad_(False)
    groups = parameter_groups(trainee, parse(["--head_rate", "10"]))
    assert [(group["rate"], group["weight_decay"]) for group in groups] == [(1, 0.01), (1, 0), (10, 0.01), (10, 0)]
    head = trainee.network.classifier
    assert groups[2]["params"] == [head.weight]
    assert groups[3]["params"] == [head.bias]
    kept = [p for group in groups for p in group["params"]]
    assert len({*kept}) == len(kept) == len([*trainee.parameters()]) - 1


@pytest.mark.slow
def test_eight_lines_are_learned_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as it is and will be read, 96 columns: what training varies would take a tiny network thousands of steps."""

    def plain(image: Image.Image, width: int, preprocessing: Preprocessing, _: Any) -> Any:
        return to_grey(image, width, preprocessing.height)

    monkeypatch.setattr(batches, "vary_line", plain)
    monkeypatch.setattr(batches, "plan_widths", lambda widths, *_: -(-widths // batches.BUCKET) * batches.BUCKET)
    lines, again = (write_lines(tmp_path / name, BY_HEART) for name in ("lines", "again"))
    more = [
        "--max_steps",
        "200",
        "--eval_every",
        "50",
        "--lr",
        "0.01",
        "--ema",
        "0.9",
        "--seed",
        "0",
        "--batch_size",
        "8",
        "--validation",
        str(again),
    ]
    main(arguments(lines, tmp_path / "out", *more))
    rows = log_of(tmp_path / "out")
    assert float(rows[-1]["cer"]) == 0
    assert float(rows[-1]["accuracy"]) == 1
    assert [float(row["loss"]) for row in rows] == sorted((float(row["loss"]) for row in rows), reverse=True)
    network = CRNN.from_pretrained(tmp_path / "out" / "best")
    assert [line.text for line in recognize(network, [load_image(png(draw(text))) for text in BY_HEART])] == BY_HEART


@pytest.mark.slow
def test_gradients_below_eps_move_hardly_anything(corpus: Path, tmp_path: Path) -> None:
    moved = []
    for name, eps in (("as a rule", "1e-8"), ("large", "1e6")):
        more = ["--max_steps", "2", "--weight_decay", "0", "--eps", eps]
        args = parse(arguments(corpus, tmp_path / name, *more))
        before, after = train.build(args).state_dict(), train.run(args).state_dict()
        moved.append(float((after["classifier.weight"] - before["classifier.weight"]).abs().max()))
    assert moved[1] < 1e-4 * moved[0]


def test_a_run_leaves_models_a_log_and_a_picture_and_no_pickle(unbroken: Path) -> None:
    files = {str(file.relative_to(unbroken)) for file in unbroken.rglob("*") if file.is_file()}
    assert {
        "last.safetensors",
        "metrics.csv",
        "curves.png",
        "best/model.safetensors",
        "final/model.safetensors",
    } <= files
    assert {Path(name).suffix for name in files} <= {".safetensors", ".json", ".csv", ".png", ".md"}
    for name in files:
        assert (
            not (unbroken / name).read_bytes().startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"))
        ), name
    rows = log_of(unbroken)
    assert [row["step"] for row in rows] == ["4", "8", "12"]
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert all(math.isfinite(float(value)) for row in rows for value in row.values())
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert float(rows[-1]["lr"]) == 0
    assert load_image(unbroken / "curves.png").width > 300
    summary = CRNN.from_pretrained(unbroken / "final").training_summary
    assert summary["samples"] == read_state(unbroken / "last.safetensors")["samples"] > 30
    assert set(summary["validation"]) == {"cer", "accuracy"}
    assert json.dumps(summary)


def test_a_loss_that_is_no_number_names_the_lines(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = itertools.count()

    def poisoned(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        loss = ctc_loss(logits, batch)
        return loss * math.nan if next(calls) == 6 else loss  # two heads a step: the fourth

    monkeypatch.setattr(train, "ctc_loss", poisoned)
    message = refusal(arguments(corpus, tmp_path / "out", "--max_steps", "12", "--save_every", "2"))
    assert "the loss is nan at step 3" in message
    assert sum(repr(text) in message for text in TEXTS) in (1, 4)
    assert "corpus 0 row" in message
    assert read_state(tmp_path / "out" / "last.safetensors")["step"] == 2
    assert all(torch.isfinite(t).all() for t in load_file(tmp_path / "out" / "last.safetensors").values())


def test_lines_are_not_joined_without_a_space_in_the_vocabulary(corpus: Path, tmp_path: Path) -> None:
    assert "space" in refusal(arguments(corpus, tmp_path / "out", *SHORT, "--join", "0.5"))


@pytest.mark.slow
def test_a_stream_is_trained_on_and_gone_on_with(
    parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ["--streaming", "--max_steps", "7", "--eval_every", "7", "--save_every", "3"]
    main(arguments(parquet, tmp_path / "whole", *more))
    run_to(5, arguments(parquet, tmp_path / "out", *more))
    main(arguments(parquet, tmp_path / "out", *more, "--resume"))
    whole, out = (load_file(folder / "last.safetensors") for folder in (tmp_path / "whole", tmp_path / "out"))
    assert all(torch.equal(whole[name], out[name]) for name in whole)


@pytest.mark.slow
def test_bad_rows_of_a_stream_are_counted_named_and_printed(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [*TEXTS, "12a", "1" * 60, "77"]
    pictures = [*(png(draw(text)) for text in TEXTS), png(draw("12a")), png(draw("1")), b"nonsense"]
    path = write_parquet(tmp_path / "lines.parquet", texts, pictures, [draw(text[:5]).size for text in texts])
    more = ["--streaming", "--validation", str(corpus), "--max_steps", "12", "--max_bad", "0.2"]
    main(arguments(path, tmp_path / "out", *more))
    printed = capsys.readouterr().out
    assert "17 rows, 14 used" in printed
    assert "1 dropped: unknown characters: row" in printed
    assert "'12a' has 'a' U+0061" in printed
    assert "1 dropped: label too long for its picture" in printed
    assert "1 dropped: no readable picture" in printed
    main(arguments(path, tmp_path / "out", *more, "--resume"))
    assert "rows" not in capsys.readouterr().out, "a run that has ended reads none"


def test_a_stream_of_too_many_bad_rows_is_refused_however_short_the_run(corpus: Path, tmp_path: Path) -> None:
    texts = [text for pair in zip(TEXTS, ["a" * 3] * len(TEXTS), strict=True) for text in pair]
    path = write_parquet(tmp_path / "lines.parquet", texts, [png(draw(text)) for text in texts])
    more = ["--streaming", "--validation", str(corpus), "--batch_size", "1"]
    message = refusal(arguments(path, tmp_path / "out", *more, "--max_steps", "5"))
    assert "rows cannot be used, more than 1.0%" in message
    assert not (tmp_path / "out" / "final").exists(), "what was refused is not called final"
    assert "unknown characters: row" in message
    assert "'aaa' has 'a' U+0061" in message


def test_a_stream_has_to_know_its_end(parquet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments(parquet, tmp_path / "out", "--streaming"))
    assert "--max_steps" in capsys.readouterr().err


@pytest.mark.slow
def test_a_model_can_be_started_from(parquet: Path, tmp_path: Path) -> None:
    config = CRNNConfig(DIGITS, "tiny", Preprocessing(height=24, stretch=2.0))
    torch.manual_seed(9)
    CRNN(replace(config, ranges=((0.0, 1.0),)), {"samples": 1000}).save_pretrained(tmp_path / "first")
    argv = [
        "--dataset",
        str(parquet),
        "--out",
        str(tmp_path / "out"),
        "--mixed_precision",
        "no",
        "--threads",
        "1",
        "--batch_size",
        "4",
    ]
    main([*argv, "--init", str(tmp_path / "first"), "--max_steps", "1", "--lr", "1e-9"])
    first, network = CRNN.from_pretrained(tmp_path / "first"), CRNN.from_pretrained(tmp_path / "out" / "final")
    assert network.config == config, "its vocabulary and preprocessing, and no ranges of other weights"
    assert network.training_summary["samples"] > 1000
    for name, parameter in network.named_parameters():
        assert torch.allclose(parameter, first.get_parameter(name), atol=1e-3), name


def test_of_a_model_started_from_the_second_head_is_drawn_by_the_seed(tmp_path: Path) -> None:
    CRNN(CRNNConfig(DIGITS, "tiny")).save_pretrained(tmp_path / "first")

    def head(seed: str) -> torch.Tensor:
        args = parse(["--init", str(tmp_path / "first"), "--seed", seed])
        return Trainee(train.build(args)).auxiliary.weight

    assert torch.equal(head("5"), head("5"))
    assert not torch.equal(head("5"), head("6"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--dataset", "/no/such"], "no such corpus: /no/such"),
        (["--init", "/no/such"], "/no/such"),
        (["--validation", "/no/such"], "/no/such"),
        (["--max_columns", "500", "--init", "nosuchmodel"], "nosuchmodel"),
    ],
)
def test_what_is_not_there_is_one_sentence(corpus: Path, tmp_path: Path, given: list[str], says: str) -> None:
    message = refusal([*arguments(corpus, tmp_path / "out", *SHORT), *given])
    assert says in message
    assert not list((tmp_path / "out").glob("*")), "before anything is written"


def test_a_corpus_of_other_characters_is_refused_with_examples(tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "lines", [*EIGHT, "12a"])
    message = refusal(arguments(lines, tmp_path / "out", *SHORT))
    assert "1 of 9 rows cannot be used" in message
    assert "'a' U+0061" in message


def test_weights_have_to_be_as_many_as_corpora(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--dataset", str(corpus), "--weights", "1", "2"])
    assert "1 corpora but 2 weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [
        ["--height", "30"],
        ["--mixed_precision", "fp16"],
    ],
    ids=" ".join,
)
def test_a_network_or_a_precision_that_is_not_there_is_one_sentence(
    corpus: Path, tmp_path: Path, given: list[str]
) -> None:
    if given[-1] == "fp16" and torch.cuda.is_available():
        pytest.skip("this machine can")
    with pytest.raises(SystemExit):
        main([*arguments(corpus, tmp_path / "out", *SHORT), *given])


def test_an_output_that_is_a_file_is_one_sentence(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    refusal(arguments(corpus, tmp_path / "out" / "run", *SHORT))


@pytest.mark.slow
def test_a_broken_picture_in_a_sized_corpus_is_left_out_and_named(
    broken: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = [*SHORT, "--validation", str(corpus), "--max_bad", "0.2"]
    main(arguments(broken, tmp_path / "whole", *more))
    printed = capsys.readouterr().out
    assert "14 rows, 14 used" in printed, "before the first step"
    assert "14 rows, 12 used" in printed
    assert "2 dropped: no readable picture: corpus 0 row " in printed
    assert "corpus 0 row 3 '8979': " in printed
    assert "corpus 0 row 8 '9502': " in printed
    run_to(6, arguments(broken, tmp_path / "out", *more))
    main(arguments(broken, tmp_path / "out", *more, "--resume"))
    assert_same_run(tmp_path / "out", tmp_path / "whole")


def test_too_many_broken_pictures_in_a_sized_corpus_are_refused(broken: Path, corpus: Path, tmp_path: Path) -> None:
    message = refusal(arguments(broken, tmp_path / "out", *SHORT, "--validation", str(corpus)))
    assert "1 of 14 rows cannot be used, more than 1.0%" in message
    assert "no readable picture: corpus 0 row" in message


def test_a_validation_picture_too_wide_is_passed_over(corpus: Path, tmp_path: Path) -> None:
    pictures = [png(draw("1")), png(Image.new("L", (30_000, 20), 255))]
    path = write_parquet(tmp_path / "validation.parquet", ["1", "2"], pictures)
    main(arguments(corpus, tmp_path / "out", "--max_steps", "1", "--validation", str(path)))
