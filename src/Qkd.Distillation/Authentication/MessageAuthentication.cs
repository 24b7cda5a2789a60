using System.Security.Cryptography;

namespace Qkd.Distillation;

/// <summary>
/// Wegman-Carter tags for single messages: the polynomial hash over GF(2^128) of the message and its length, under a key of its own,
/// with a one-time pad on the tag. A pad is used for one message and never again. Without it a forger succeeds with a probability of at
/// most <see cref="ForgeryProbability"/>, whatever he can compute.
/// </summary>
public static class MessageAuthentication
{
    /// <summary>Bytes of one pad: 16 of hash key, 16 that cover the tag.</summary>
    public const int PadBytes = 32;

    /// <summary>Bytes of a tag.</summary>
    public const int TagBytes = 16;

    /// <summary>Writes the tag of a message.</summary>
    /// <param name="pad"><see cref="PadBytes"/> fresh secret bytes.</param>
    /// <param name="message">The message, with everything in it that it must not be taken for: sender, sequence, purpose.</param>
    /// <param name="tag">Receives <see cref="TagBytes"/> bytes.</param>
    public static void Tag(ReadOnlySpan<byte> pad, ReadOnlySpan<byte> message, Span<byte> tag)
    {
        CheckPad(pad);
        if (tag.Length != TagBytes)
        {
            throw new ArgumentException($"A tag has {TagBytes} bytes, not {tag.Length}.", nameof(tag));
        }

        var hash = new PolynomialHash(Gf128.Read(pad));
        hash.Append(message);
        hash.AppendLength(message.Length);
        (hash.Value ^ Gf128.Read(pad[16..])).Write(tag);
        hash.Erase();
    }

    /// <summary>Whether a tag is that of a message. Takes the same time whatever the tag.</summary>
    public static bool Verify(ReadOnlySpan<byte> pad, ReadOnlySpan<byte> message, ReadOnlySpan<byte> tag)
    {
        if (tag.Length != TagBytes)
        {
            return false;
        }

        Span<byte> own = stackalloc byte[TagBytes];
        Tag(pad, message, own);
        return CryptographicOperations.FixedTimeEquals(own, tag);
    }

    /// <summary>Bound on a forger's success against a message of so many bytes: one 2^-128 for each block of 16 bytes and one for the length.</summary>
    public static double ForgeryProbability(long messageBytes) => (((messageBytes + 15) / 16) + 1) * Math.Pow(2, -128);

    internal static void CheckPad(ReadOnlySpan<byte> pad)
    {
        if (pad.Length != PadBytes)
        {
            throw new ArgumentException($"A pad has {PadBytes} bytes, not {pad.Length}.", nameof(pad));
        }
    }
}
