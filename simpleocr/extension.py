"""Extension: a network that can write more characters, and writes those it knew as before."""

import unicodedata
from dataclasses import replace

import torch

from simpleocr.crnn import CRNN
from simpleocr.language import MOST_CLASSES

DISTANCE = 0.05  # of the spread of the head's rows: how far a new character starts from the one it looks like
RARELY = 2.0  # nats less likely than that one, at first: what is new should not take its place unlearned
LOOK_ALIKES = dict(
    zip(
        "ßøØđĐłŁæÆœŒðþÞıŋħ₸₽₹₺₴₦₩¿¡«»‹›¥¢„‚µАВЕКМНОРСТХаеорсухі",
        "BoOdDlLaAoOdpPinhTPRLSNW?!<><>Yc,,uABEKMHOPCTXaeopcyxi",
        strict=True,
    )
)
"""Characters that have no base letter of Unicode's, and the one whose shape is nearest."""


def extended(network: CRNN, characters: str) -> CRNN:
    """A copy of a network with more characters; it reads as before until it is trained on them.

    Args:
        network: whose tensors are copied.
        characters: those that its vocabulary has already are passed over.

    Raises:
        VocabularyError: a character that no vocabulary can have.
        ValueError: more characters than a network with a language may have.
    """
    old = network.vocabulary
    vocabulary = old.extend(characters)
    if network.language is not None and vocabulary.num_classes > MOST_CLASSES:
        raise ValueError(f"a network with a language has at most {MOST_CLASSES} classes, not {vocabulary.num_classes}")
    # how far activations go does not depend on the head
    larger = CRNN(replace(network.config, vocabulary=vocabulary), dict(network.training_summary))
    larger.storage_dtype = network.storage_dtype
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weight, bias = tensors["classifier.weight"], tensors["classifier.bias"]
    rows, offsets = [weight], [bias]
    noise = torch.Generator().manual_seed(0)
    for character in vocabulary.characters[len(old) :]:
        known = look_alike(character)
        if known in old.characters:
            (like,) = old.encode(known)
            row, offset = weight[like], bias[like]
        else:
            row, offset = weight[1:].mean(dim=0), bias[1:].mean()
        rows.append((row + DISTANCE * weight.std() * torch.randn(row.shape, generator=noise))[None])
        offsets.append((offset - RARELY)[None])
    tensors["classifier.weight"], tensors["classifier.bias"] = torch.cat(rows), torch.cat(offsets)
    larger.load_state_dict(tensors)
    return larger.eval()


def look_alike(character: str) -> str:
    """The character without its accents, or the one of LOOK_ALIKES; itself where there is none."""
    base = unicodedata.normalize("NFKD", character)[0]
    return LOOK_ALIKES.get(base, base)
