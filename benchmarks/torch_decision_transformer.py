"""A plain PyTorch Decision Transformer, timed by `train_step.py`; runs in `.venv-bench` alone.

Written as one would write it today: every token of every layer, `nn.Dropout`, fused AdamW, a batch
gathered from tensors in memory. It reads requests, one JSON object a line, on stdin and answers
each with one line of JSON, so that two of these workers can take turns on the same cores.
"""

import json
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

OBSERVATION_DIM, ACTION_DIM = 11, 3
CONTEXT, WIDTH, NUM_LAYERS, BATCH = 20, 128, 3, 64
MAX_STEPS = 1000


class Attention(nn.Module):
    def __init__(self, dropout: float, fused: bool) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.fused = fused

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        # One head: [B, 1, L, D] for the fused kernel, [B, L, D] otherwise.
        query, key, value = self.query_key_value(x).chunk(3, dim=-1)
        if self.fused:
            rate = self.dropout.p if self.training else 0.0
            mixed = F.scaled_dot_product_attention(
                query[:, None],
                key[:, None],
                value[:, None],
                attn_mask=bias[:, None],
                dropout_p=rate,
            )[:, 0]
        else:
            scores = torch.baddbmm(bias, query, key.transpose(1, 2), alpha=WIDTH**-0.5)
            mixed = self.dropout(scores.softmax(dim=-1)) @ value
        return self.out(mixed)


class Block(nn.Module):
    def __init__(self, dropout: float, fused: bool) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.attention = Attention(dropout, fused)
        self.hidden_norm = nn.LayerNorm(WIDTH)
        self.hidden = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), bias))
        return x + self.dropout(self.hidden(self.hidden_norm(x)))


class DecisionTransformer(nn.Module):
    def __init__(self, dropout: float, fused: bool) -> None:
        super().__init__()
        self.embed_return = nn.Linear(1, WIDTH)
        self.embed_observation = nn.Linear(OBSERVATION_DIM, WIDTH)
        self.embed_action = nn.Linear(ACTION_DIM, WIDTH)
        self.embed_timestep = nn.Embedding(MAX_STEPS, WIDTH)
        self.embedding_norm = nn.LayerNorm(WIDTH)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([Block(dropout, fused) for _ in range(NUM_LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.action_head = nn.Linear(WIDTH, ACTION_DIM)
        self.register_buffer(
            "causal", torch.ones(3 * CONTEXT, 3 * CONTEXT, dtype=torch.bool).tril()
        )
        self.register_buffer("itself", torch.eye(3 * CONTEXT, dtype=torch.bool))

    def forward(
        self,
        returns: Tensor,
        observations: Tensor,
        actions: Tensor,
        timesteps: Tensor,
        mask: Tensor,
    ) -> Tensor:
        parts = torch.stack(
            [
                self.embed_return(returns[..., None]),
                self.embed_observation(observations),
                self.embed_action(actions),
            ],
            dim=2,
        )
        tokens = (parts + self.embed_timestep(timesteps)[:, :, None]).flatten(1, 2)
        x = self.dropout(self.embedding_norm(tokens))
        attend = self.causal & (mask.repeat_interleave(3, 1)[:, None, :] | self.itself)
        bias = torch.zeros(attend.shape).masked_fill(~attend, torch.finfo(torch.float32).min)
        for block in self.blocks:
            x = block(x, bias)
        return torch.tanh(self.action_head(self.norm(x)[:, 1::3]))


class Training:
    """A model, its optimizer and a table of steps to draw windows from."""

    def __init__(self, dropout: float, fused: bool, num_steps: int = 100_000) -> None:
        torch.manual_seed(0)
        self.model = DecisionTransformer(dropout, fused).train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-3, weight_decay=1e-4, fused=True
        )
        self.observations = torch.randn(num_steps, OBSERVATION_DIM)
        self.actions = torch.rand(num_steps, ACTION_DIM) * 2 - 1
        self.returns = torch.rand(num_steps)
        self.timesteps = torch.arange(num_steps) % MAX_STEPS

    def step(self) -> None:
        last = torch.randint(self.timesteps.shape[0], (BATCH,))
        back = torch.arange(CONTEXT - 1, -1, -1)
        mask = back <= self.timesteps[last][:, None]
        rows = torch.where(mask, last[:, None] - back, last[:, None])
        actions = self.actions[rows] * mask[..., None]
        predicted = self.model(
            self.returns[rows] * mask,
            self.observations[rows] * mask[..., None],
            actions,
            self.timesteps[rows] * mask,
            mask,
        )
        error = ((predicted - actions) ** 2 * mask[..., None]).sum()
        loss = error / (mask.sum() * ACTION_DIM)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.25)
        self.optimizer.step()

    def milliseconds(self, steps: int) -> float:
        """Mean time of one of `steps` steps."""
        began = time.perf_counter()
        for _ in range(steps):
            self.step()
        return (time.perf_counter() - began) / steps * 1e3


def main() -> None:
    trainings: dict[tuple[float, bool], Training] = {}
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        choice = (request["dropout"], request["fused_attention"])
        if choice not in trainings:
            trainings[choice] = Training(*choice)
        answer = {
            "milliseconds": trainings[choice].milliseconds(request["steps"]),
            "threads": torch.get_num_threads(),
            "versions": {"torch": torch.__version__},
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
