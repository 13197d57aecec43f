"""How a kernel draws, in Triton: `distributions.py` and `draw.py` say what is computed.

Parameters are read from a slot's scratch. Top-k and top-p need no sorting: a symbol stays if its
weight lies above a threshold, which is found by halving, and of those on the threshold the lower
ones stay as far as there is room.

Shapes: S slots of a tile, L lanes of levels, K components.
"""

from __future__ import annotations

import triton
import triton.language as tl

from ancestral.models.sampling import distributions, draw

#: The bits of the largest weight, 1.0, and how often they are halved until one is left.
LARGEST_WEIGHT_BITS: tl.constexpr = tl.constexpr(0x3F800000)
HALVINGS: tl.constexpr = tl.constexpr(31)
LEAST_SHARE: tl.constexpr = tl.constexpr(draw.LEAST_SHARE)
LARGEST_LOG_SCALE: tl.constexpr = tl.constexpr(distributions.LARGEST_LOG_SCALE)


@triton.jit
def load_floats(scratch, parameters, START: tl.constexpr, W: tl.constexpr, L: tl.constexpr):
    lane = tl.arange(0, L)
    mask = (lane < W)[None, :] & (parameters >= 0)[:, None]
    return tl.load(scratch + (parameters + START)[:, None] + lane[None, :], mask=mask, other=0.0)


@triton.jit
def is_finite(x):
    # Neither infinity nor what is not a number is left over when taken from itself.
    return (x - x == 0).to(tl.int32)


@triton.jit
def kept_weights(weights, top_k, top_p):
    """Weights (S, L) of at most 1, with zeros outside top-k, then outside top-p."""
    bits = weights.to(tl.int32, bitcast=True)
    low = top_k * 0
    high = low + LARGEST_WEIGHT_BITS
    for _ in range(HALVINGS):
        middle = low + (high - low + 1) // 2
        enough = tl.sum((bits >= middle[:, None]).to(tl.int32), 1) >= top_k
        low, high = tl.where(enough, middle, low), tl.where(enough, high, middle - 1)
    above = bits > low[:, None]
    level = bits == low[:, None]
    room = top_k - tl.sum(above.to(tl.int32), 1)
    keep = above | (level & (tl.cumsum(level.to(tl.int32), 1) <= room[:, None]))
    weights = tl.where(keep, weights, 0.0)
    bits = weights.to(tl.int32, bitcast=True)
    most = tl.maximum(top_p * tl.sum(weights, 1), LEAST_SHARE)
    low = top_k * 0 - 1
    high = low + 1 + LARGEST_WEIGHT_BITS
    for _ in range(HALVINGS):
        middle = low + (high - low) // 2
        little = tl.sum(tl.where(bits > middle[:, None], weights, 0.0), 1) < most
        low, high = tl.where(little, low, middle), tl.where(little, middle, high)
    above = bits > high[:, None]
    level = bits == high[:, None]
    mass = tl.sum(tl.where(above, weights, 0.0), 1)
    before = (tl.cumsum(level.to(tl.int32), 1) - 1).to(tl.float32) * weights
    keep = above | (level & (mass[:, None] + before < most[:, None])) | (top_p == 1)[:, None]
    return tl.where(keep, weights, 0.0)


@triton.jit
def first_above(weights, u, LEVELS: tl.constexpr):
    """The first of the symbols whose running weight exceeds u · total."""
    running = tl.cumsum(weights, 1)
    threshold = u * tl.max(running, 1)
    # A scan's sums may fall by a rounding from lane to lane, but no weight of zero is drawn.
    above = (running > threshold[:, None]) & (weights > 0)
    lane = tl.arange(0, weights.shape[1])[None, :]
    return tl.min(tl.where(above, lane, LEVELS - 1), 1)


@triton.jit
def pick(logits, inside, u, temperature, top_k, top_p, truncated, LEVELS: tl.constexpr):
    """Symbols (S,) for logits (S, L)."""
    scaled = tl.where(inside, logits / temperature[:, None], float("-inf"))
    weights = tl.where(inside, tl.exp(scaled - tl.max(scaled, 1)[:, None]), 0.0)
    if truncated:
        weights = kept_weights(weights, top_k, top_p)
    return first_above(weights, u, LEVELS)


@triton.jit
def draw_level(
    scratch,
    parameters,
    START: tl.constexpr,
    u,
    temperature,
    top_k,
    top_p,
    truncated,
    LEVELS: tl.constexpr,
    L: tl.constexpr,
    ONE_LOGIT: tl.constexpr,
):
    lane = tl.arange(0, L)[None, :]
    inside = (lane < LEVELS) & (parameters >= 0)[:, None]
    if ONE_LOGIT:
        logit = tl.load(scratch + parameters + START)
        logits = tl.where(lane == 1, logit[:, None], 0.0)
    else:
        logits = load_floats(scratch, parameters, START, LEVELS, L)
    symbol = pick(logits, inside, u, temperature, top_k, top_p, truncated, LEVELS)
    peak = tl.max(tl.where(inside, logits, float("-inf")), 1)
    weights = tl.where(inside, tl.exp(logits - peak[:, None]), 0.0)
    drawn = tl.sum(tl.where(lane == symbol[:, None], logits, 0.0), 1)
    nats = drawn - peak - tl.log(tl.sum(weights, 1))
    return symbol, nats, is_finite(tl.sum(logits, 1))


@triton.jit
def level_value(symbol, LEVELS: tl.constexpr):
    """Where symbols stand in [−1, 1]."""
    return (symbol.to(tl.float64) * 2 / (LEVELS - 1) - 1).to(tl.float32)


@triton.jit
def log_sigmoid(x):
    return tl.minimum(x, 0.0) - tl.log(1 + tl.exp(-tl.abs(x)))


@triton.jit
def component_nats(means, log_scales, symbol, LEVELS: tl.constexpr):
    """Nats of symbols (S, 1) under each component alone, (S, K)."""
    narrowness = tl.exp(-log_scales)
    centred = level_value(symbol, LEVELS) - means
    upper = (centred + 1.0 / (LEVELS - 1)) * narrowness
    lower = (centred - 1.0 / (LEVELS - 1)) * narrowness
    width = narrowness * (2.0 / (LEVELS - 1))
    # log(1 − exp(−w)), by its series where the difference would be lost.
    series = tl.log(width) - width / 2 + width * width / 24
    between = tl.where(width < 0.1, series, tl.log(1 - tl.exp(-width)))
    below = tl.where(symbol == LEVELS - 1, 0.0, log_sigmoid(upper))
    above = tl.where(symbol == 0, 0.0, log_sigmoid(-lower))
    return below + above + tl.where((symbol > 0) & (symbol < LEVELS - 1), between, 0.0)


@triton.jit
def log_total(x, real):
    """Log of the sum of exp(x) over the real components, (S,)."""
    peak = tl.max(tl.where(real, x, float("-inf")), 1)
    return peak + tl.log(tl.sum(tl.where(real, tl.exp(x - peak[:, None]), 0.0), 1))


@triton.jit
def clamped(log_scales, SMALLEST: tl.constexpr):
    bounded = tl.where(log_scales < SMALLEST, SMALLEST, log_scales)
    return tl.where(bounded > LARGEST_LOG_SCALE, LARGEST_LOG_SCALE, bounded)


@triton.jit
def draw_mixture(
    scratch,
    parameters,
    START: tl.constexpr,
    u,
    temperature,
    top_k,
    top_p,
    truncated,
    K: tl.constexpr,
    KL: tl.constexpr,
    LEVELS: tl.constexpr,
    L: tl.constexpr,
    HALVED: tl.constexpr,
    SMALLEST: tl.constexpr,
):
    real = (tl.arange(0, KL) < K)[None, :] & (parameters >= 0)[:, None]
    logits = load_floats(scratch, parameters, START, K, KL)
    means = load_floats(scratch, parameters, START + K, K, KL)
    raw_scales = load_floats(scratch, parameters, START + 2 * K, K, KL)
    finite = is_finite(tl.sum(logits, 1) + tl.sum(means, 1) + tl.sum(raw_scales, 1))
    log_scales = clamped(raw_scales, SMALLEST)
    scaled = logits / temperature[:, None]
    wider = log_scales + tl.log(temperature)[:, None]
    shares = tl.where(real, tl.exp(scaled - log_total(scaled, real)[:, None]), 0.0)
    narrowness = tl.exp(-wider)
    low = (u * 0).to(tl.int32)
    high = low + LEVELS - 1
    for _ in range(HALVED):
        middle = (low + high) // 2
        edge = level_value(middle, LEVELS) + 1.0 / (LEVELS - 1)
        running = tl.sum(shares * tl.sigmoid((edge[:, None] - means) * narrowness), 1)
        exceeds = running > u
        up = (exceeds == 0) & (low < high)
        high = tl.where(exceeds, middle, high)
        low = tl.where(up, middle + 1, low)
    symbol = high
    if truncated:
        # Only alphabets of up to 256 symbols are truncated.
        if LEVELS <= 256:
            lane = tl.arange(0, L)[None, :]
            inside = (lane < LEVELS) & (parameters >= 0)[:, None]
            chances = tl.zeros((u.shape[0], L), tl.float32)
            for component in range(K):
                chosen = (tl.arange(0, KL) == component)[None, :]
                mean = tl.sum(tl.where(chosen, means, 0.0), 1)[:, None]
                log_scale = tl.sum(tl.where(chosen, wider, 0.0), 1)[:, None]
                share = tl.sum(tl.where(chosen, shares, 0.0), 1)[:, None]
                chances += share * tl.exp(component_nats(mean, log_scale, lane, LEVELS))
            peak = tl.max(tl.where(inside, chances, 0.0), 1)[:, None]
            weights = kept_weights(tl.where(inside, chances / peak, 0.0), top_k, top_p)
            # Who is not truncated is drawn as if no neighbour were.
            asks = (top_k < LEVELS) | (top_p < 1)
            symbol = tl.where(asks, first_above(weights, u, LEVELS), symbol)
    each = component_nats(means, log_scales, symbol[:, None], LEVELS)
    nats = log_total(logits + each, real) - log_total(logits, real)
    return symbol, nats, finite


@triton.jit
def mix_colours(
    scratch,
    parameters,
    RAW: tl.constexpr,
    TARGET: tl.constexpr,
    first,
    second,
    COLOUR: tl.constexpr,
    K: tl.constexpr,
    KL: tl.constexpr,
    LEVELS: tl.constexpr,
    SMALLEST: tl.constexpr,
):
    """Puts the mixture of a colour, given the `first` and the `second`, where it is drawn from."""
    logits = load_floats(scratch, parameters, RAW, K, KL)
    mean = load_floats(scratch, parameters, RAW + K, K, KL)
    log_scale = load_floats(scratch, parameters, RAW + 4 * K, K, KL)
    if COLOUR > 0:
        logits += component_nats(mean, clamped(log_scale, SMALLEST), first[:, None], LEVELS)
        seen = level_value(first, LEVELS)[:, None]
        pull = load_floats(scratch, parameters, RAW + 7 * K, K, KL)
        mean = load_floats(scratch, parameters, RAW + 2 * K, K, KL)
        mean += (2 * tl.sigmoid(2 * pull) - 1) * seen
        log_scale = load_floats(scratch, parameters, RAW + 5 * K, K, KL)
        if COLOUR > 1:
            logits += component_nats(mean, clamped(log_scale, SMALLEST), second[:, None], LEVELS)
            red = load_floats(scratch, parameters, RAW + 8 * K, K, KL)
            green = load_floats(scratch, parameters, RAW + 9 * K, K, KL)
            mean = load_floats(scratch, parameters, RAW + 3 * K, K, KL)
            mean += (2 * tl.sigmoid(2 * red) - 1) * seen
            mean += (2 * tl.sigmoid(2 * green) - 1) * level_value(second, LEVELS)[:, None]
            log_scale = load_floats(scratch, parameters, RAW + 6 * K, K, KL)
    lane = tl.arange(0, KL)
    mask = (lane < K)[None, :] & (parameters >= 0)[:, None]
    where = scratch + (parameters + TARGET)[:, None] + lane[None, :]
    tl.store(where, logits, mask=mask)
    tl.store(where + K, mean, mask=mask)
    tl.store(where + 2 * K, log_scale, mask=mask)
