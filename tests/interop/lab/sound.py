"""G.711 and tones: what the voices say, and how loud a tone is in what they heard. Ours, so that it shares nothing with the product."""

import math

RATE = 8000
FRAME = 160


def _decode_ulaw(byte):
    byte = ~byte & 0xFF
    magnitude = ((((byte & 0x0F) << 3) + 0x84) << ((byte & 0x70) >> 4)) - 0x84
    return -magnitude if byte & 0x80 else magnitude


def _decode_alaw(byte):
    byte ^= 0x55
    segment, mantissa = (byte & 0x70) >> 4, byte & 0x0F
    magnitude = (mantissa << 4) + 8 if segment == 0 else ((mantissa << 4) + 0x108) << (segment - 1)
    return magnitude if byte & 0x80 else -magnitude


DECODE = {0: [_decode_ulaw(b) for b in range(256)], 8: [_decode_alaw(b) for b in range(256)]}


def _encoder(table):
    """The nearest code for each of 65,536 samples, found by walking both in order."""
    codes = sorted(range(256), key=lambda b: table[b])
    encoded, at = bytearray(65536), 0
    for sample in range(-32768, 32768):
        while at + 1 < 256 and abs(table[codes[at + 1]] - sample) <= abs(table[codes[at]] - sample):
            at += 1
        encoded[sample + 32768] = codes[at]
    return encoded


ENCODE = {payload_type: _encoder(table) for payload_type, table in DECODE.items()}


def tone(hz, payload_type, dbfs=-16.0):
    """One second of a tone, encoded; it loops without a click because hz is whole."""
    peak = 32767 * 10 ** (dbfs / 20)
    encode = ENCODE[payload_type]
    return bytes(encode[round(peak * math.sin(2 * math.pi * hz * n / RATE)) + 32768] for n in range(RATE))


def level(samples, hz):
    """How loud `hz` is in `samples`, in dBFS of its peak; -120 for nothing at all (Goertzel)."""
    if not samples:
        return -120.0
    turn = 2 * math.cos(2 * math.pi * hz / RATE)
    one = two = 0.0
    for sample in samples:
        one, two = sample + turn * one - two, one
    power = one * one + two * two - turn * one * two
    peak = 2 * math.sqrt(max(power, 0.0)) / len(samples) / 32767
    return max(20 * math.log10(peak), -120.0) if peak > 0 else -120.0


def loudness(samples):
    """How loud all of it is together, in dBFS; -120 for nothing at all."""
    power = sum(sample * sample for sample in samples) / max(len(samples), 1)
    return max(10 * math.log10(power / 32767 ** 2), -120.0) if power > 0 else -120.0
