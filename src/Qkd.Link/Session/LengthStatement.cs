using System.Buffers.Binary;

namespace Qkd.Link.Session;

/// <summary>What Alice states of a block's key: its length, and how much of it feeds the authentication key on both sides.</summary>
/// <param name="SecretBits">Length in bits.</param>
/// <param name="AuthenticationBits">Part of it for authentication, in bits.</param>
internal readonly record struct LengthStatement(long SecretBits, int AuthenticationBits)
{
    /// <summary>The authentication key is fed in whole multiples of this, one half for each direction.</summary>
    public const int FeedUnit = 512;

    /// <summary>How much to feed: what is wanted, but never more than half of the block.</summary>
    public static int FeedFor(int wantedBits, long secretBits) =>
        (int)Math.Min(wantedBits, secretBits / 2) / FeedUnit * FeedUnit;

    public byte[] Write()
    {
        var bytes = new byte[12];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, SecretBits);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), AuthenticationBits);
        return bytes;
    }

    /// <exception cref="LinkProtocolException">Not a statement, or one that makes no sense.</exception>
    public static LengthStatement Read(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != 12)
        {
            throw new LinkProtocolException("A statement of length is malformed.");
        }

        var statement = new LengthStatement(BinaryPrimitives.ReadInt64LittleEndian(bytes), BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]));
        return statement.AuthenticationBits >= 0 && statement.AuthenticationBits % FeedUnit == 0 && statement.AuthenticationBits <= statement.SecretBits / 2
            ? statement
            : throw new LinkProtocolException($"A block of {statement.SecretBits} bits cannot feed {statement.AuthenticationBits} bits to the authentication key.");
    }
}
