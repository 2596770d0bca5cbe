"""What ranks send each other: bytes over one rank's link, by collective."""

from domain.quantity import Number

SEND_AND_RECEIVE = 2.0


def ring_all_reduce_bytes(message_bytes: Number, ranks: Number) -> Number:
    r"""Bytes that an all-reduce of ``message_bytes`` moves over each rank's link.

    .. math:: 2 \, \frac{n - 1}{n} \, m

    Every part of the message is sent round once to be summed and once to be spread.
    Source: Patarasuk and Yuan 2009, doi:10.1016/j.jpdc.2008.09.002. Check: 8 ranks -> 1.75 times the message.
    """
    return SEND_AND_RECEIVE * (ranks - 1.0) / ranks * message_bytes


def expert_exchange_bytes(
    tokens: Number,
    experts_per_token: Number,
    hidden_size: Number,
    dispatch_element_bytes: Number,
    combine_element_bytes: Number,
) -> Number:
    r"""Bytes that a rank sends to the experts of its tokens and gets back from them, one layer.

    .. math:: (b_d + b_c) \, n \, k \, h

    Source: DeepSeek-AI 2025, arXiv:2505.09343, sec. 2.3.2.
    Check: (1 + 2) bytes x 32 tokens x 9 experts x 7 000 over 50e9 bytes/s -> 120.96 us (same place).
    """
    return (dispatch_element_bytes + combine_element_bytes) * tokens * experts_per_token * hidden_size
