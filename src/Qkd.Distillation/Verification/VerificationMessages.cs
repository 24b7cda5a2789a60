using System.Buffers;
using System.Security.Cryptography;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>
/// Verification: Alice draws two elements of GF(2^128), H and a, and tells them with the lowest t bits of a · P_H(x), P_H the polynomial
/// hash of her bits. For different bits the hashes agree at no more than (words + 1) / 2^128 of all H; where they do not, a spreads the
/// difference evenly, so that t bits agree with probability 2^-t. With t = ⌈log2(2/ε_EV)⌉ the sum is at most ε_EV.
/// </summary>
/// <remarks>
/// Challenge: <c>H (16 bytes); a (16 bytes); tag, ⌈t/8⌉ bytes</c>. Answer: <c>u8 verdict (1 = same); 3 x i64 errors per intensity</c>.
/// </remarks>
internal static class VerificationMessages
{
    private const int HashKeyBytes = 32;

    /// <summary>t, the bits of the tag.</summary>
    public static int TagBits(SecurityParameters security) => (int)Math.Ceiling(Math.Log2(2 / security.Verification) - 1e-9);

    /// <summary>
    /// What verification tells beyond the log2(2/ε_EV) bits that the formula for the length subtracts, in bits, rounded up: the rest of the tag;
    /// and where the detectors may differ, so that the error pattern may not be taken as public, Bob's verdict and his error counts.
    /// </summary>
    public static long BitsBeyondFormula(SecurityParameters security, IReadOnlyList<long> keyCounts)
    {
        var bits = TagBits(security) - Math.Log2(2 / security.Verification);
        if (security.Mismatch.Exists)
        {
            bits += 1 + keyCounts.Sum(count => Math.Log2(count + 1));
        }

        return Math.Max(0, (long)Math.Ceiling(bits - 1e-9));
    }

    public static void WriteChallenge(BitString key, SecurityParameters security, ISecretRandomness randomness, IBufferWriter<byte> challenge)
    {
        Span<byte> hashKey = stackalloc byte[HashKeyBytes];
        randomness.Fill(hashKey);
        var tagBytes = BitString.ByteCount(TagBits(security));
        var message = challenge.GetSpan(HashKeyBytes + tagBytes)[..(HashKeyBytes + tagBytes)];
        hashKey.CopyTo(message);
        Tag(key, security, hashKey, message[HashKeyBytes..]);
        challenge.Advance(message.Length);
    }

    /// <summary>Whether Alice's tag is that of these bits.</summary>
    public static bool CheckChallenge(BitString key, SecurityParameters security, ReadOnlySpan<byte> challenge)
    {
        var reader = new MessageReader(challenge, "verification challenge");
        var hashKey = reader.Take(HashKeyBytes);
        var tag = reader.Take(BitString.ByteCount(TagBits(security)));
        reader.End();
        Span<byte> own = stackalloc byte[tag.Length];
        Tag(key, security, hashKey, own);
        return CryptographicOperations.FixedTimeEquals(own, tag);
    }

    public static void WriteAnswer(bool same, ReadOnlySpan<long> errors, IBufferWriter<byte> answer)
    {
        answer.WriteByte(same ? (byte)1 : (byte)0);
        foreach (var count in errors)
        {
            // A failed block's counts say nothing: its corrections are not errors.
            answer.WriteInt64(same ? count : 0);
        }
    }

    public static (bool Same, long[] Errors) ReadAnswer(ReadOnlySpan<byte> answer, IReadOnlyList<long> counts)
    {
        var reader = new MessageReader(answer, "verification answer");
        var verdict = reader.ReadByte();
        var errors = new long[counts.Count];
        for (var i = 0; i < errors.Length; i++)
        {
            errors[i] = reader.ReadInt64();
            if (errors[i] < 0 || errors[i] > counts[i])
            {
                throw reader.Malformed($"{errors[i]} errors in {counts[i]} bits");
            }
        }

        reader.End();
        return verdict <= 1 ? (verdict == 1, errors) : throw reader.Malformed($"its verdict is {verdict}");
    }

    private static void Tag(BitString key, SecurityParameters security, ReadOnlySpan<byte> hashKey, Span<byte> tag)
    {
        var hash = new PolynomialHash(Gf128.Read(hashKey));
        hash.AppendWords(key.Words);
        hash.AppendLength(key.Length);
        Span<byte> full = stackalloc byte[16];
        Gf128.Multiply(hash.Value, Gf128.Read(hashKey[16..])).Write(full);
        full[..tag.Length].CopyTo(tag);
        var spare = (8 * tag.Length) - TagBits(security);
        tag[^1] &= (byte)(0xFF >> spare);
    }
}
