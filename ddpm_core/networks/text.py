"""Words for a denoiser: tokens, a small transformer that reads them, attention from picture to caption.

The vocabulary is that of the training captions; other words are passed over. A comma is a token: it parts things.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

import torch
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn
from torch.nn import functional as F

from ddpm_core.networks.layers import ResidualLinear, starting_at_zero
from ddpm_core.networks.mixers import attend, heads_of

PADDING, UNKNOWN, COMMA = "", "?", ","
SPECIAL = (PADDING, COMMA)  # the first tokens, in this order; words follow
MOST_WORDS = 10_000  # of a vocabulary, the most frequent
MLP_RATIO = 4


def word_tokenizer(words: Sequence[str]) -> Tokenizer:
    """A Hugging Face tokenizer of whole words: small letters, runs of letters, digits, hyphens and apostrophes."""
    numbers = {token: number for number, token in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(models.WordLevel({**numbers, UNKNOWN: len(numbers)}, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Lowercase(),
            normalizers.Replace("\u2019", "'"),
            normalizers.Replace(Regex(r"[:;.\n]"), COMMA),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\w'-]+|,"), behavior="removed", invert=True)
    return tokenizer


def vocabulary(captions: Iterable[str]) -> tuple[str, ...]:
    """All words of some captions, sorted; of more than `MOST_WORDS` the most frequent."""
    split = word_tokenizer(())
    counted = Counter(word for caption in captions for word in _split(split, caption) if word != COMMA)
    return tuple(sorted(word for word, _ in counted.most_common(MOST_WORDS)))


def _split(tokenizer: Tokenizer, text: str) -> list[str]:
    assert tokenizer.normalizer is not None
    assert tokenizer.pre_tokenizer is not None
    return [token for token, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


class Vocabulary:
    """The words that a network knows, by number, and captions as it reads them.

    Args:
        length: tokens of a caption; more are cut off.
    """

    def __init__(self, words: Sequence[str], length: int):
        self.words, self.length = tuple(words), length

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return word_tokenizer(self.words)

    def unknown(self, text: str) -> list[str]:
        """The words of a text that it does not know, each once, in order."""
        known = {COMMA, *self.words}
        return list(dict.fromkeys(word for word in _split(self._tokenizer, text) if word not in known))

    def beyond(self, text: str) -> int:
        """How many known words and commas of a text are cut off."""
        return max(0, len(self._numbers(text)) - self.length)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """(B, length) int64, padded with 0; only 0 for a text without a known word."""
        rows = torch.zeros(len(texts), self.length, dtype=torch.int64)
        for row, text in zip(rows, texts, strict=True):
            numbers = self._numbers(text)[: self.length]
            row[: len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
        return rows

    def _numbers(self, text: str) -> list[int]:
        unknown = len(SPECIAL) + len(self.words)
        numbers = [number for number in self._tokenizer.encode(text).ids if number != unknown]
        return numbers if any(number >= len(SPECIAL) for number in numbers) else []


class EncoderBlock(nn.Module):
    """A transformer block on tokens (B, L, W), norms first (Xiong et al. 2020)."""

    def __init__(self, width: int):
        super().__init__()
        self.heads = heads_of(width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = ResidualLinear(width, width)
        self.wide, self.narrow = nn.Linear(width, MLP_RATIO * width), ResidualLinear(MLP_RATIO * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = self.out(attend(self.query_key_value(self.norm1(tokens)), self.heads), tokens)  # (B, L, W)
        return self.narrow(F.gelu(self.wide(self.norm2(tokens))), tokens)


class TextEncoder(nn.Module):
    """Reads captions (Vaswani et al. 2017, the encoder, with learned positions).

    Args:
        words: how many it knows.
        width: W, of what it makes of each token.
        length: L, of captions.
    """

    def __init__(self, words: int, width: int, layers: int, length: int):
        super().__init__()
        self.words, self.width, self.length = words, width, length
        self.embedding = nn.Embedding(len(SPECIAL) + words, width)
        self.positions = nn.Parameter(torch.empty(length, width))
        self.null = nn.Parameter(torch.empty(length, width))  # what stands for the null caption
        self.blocks = nn.ModuleList(EncoderBlock(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        # Large from the start, unlike GPT-2's and CLIP's 0.02, from which two words were still mixed up after a trial's
        # 150 steps; the null caption as large as what the last norm lets out.
        for table in (self.embedding.weight, self.positions, self.null):
            nn.init.normal_(table)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, L, W) of token numbers (B, L); a row of zeros is the null caption."""
        x = self.embedding(tokens) + self.positions  # (B, L, W)
        for block in self.blocks:
            x = block(x)
        return torch.where((tokens == 0).all(1)[:, None, None], self.null.to(x.dtype), self.norm(x))

    def null_captions(self, count: int) -> Tensor:
        """(count, L, W)."""
        return self.null.expand(count, -1, -1)


class CrossAttention(nn.Module):
    """Cells (B, N, C) that look at a caption (B, L, W) (Rombach et al. 2022, section 3.3); starts as the identity."""

    def __init__(self, channels: int, width: int):
        super().__init__()
        self.heads = heads_of(channels)
        self.norm = nn.LayerNorm(channels)
        self.query, self.key_value = nn.Linear(channels, channels), nn.Linear(width, 2 * channels)
        self.out = starting_at_zero(ResidualLinear(channels, channels))

    def forward(self, cells: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        query = self.query(self.norm(cells)).unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, C/heads)
        key_value = self.key_value(encoder_hidden_states).unflatten(2, (2, self.heads, -1))  # (B, L, 2, heads, C/heads)
        key, value = key_value.permute(2, 0, 3, 1, 4)  # (B, heads, L, C/heads) each
        return self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2), cells)

    def of_map(self, x: Tensor, encoder_hidden_states: Tensor) -> Tensor:
        """The same of cells that lie in a map (B, C, H, W)."""
        cells = self(x.permute(0, 2, 3, 1).flatten(1, 2), encoder_hidden_states)  # (B, H*W, C)
        return cells.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)  # (B, C, H, W)
