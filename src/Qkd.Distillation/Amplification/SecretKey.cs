using System.Runtime.InteropServices;

namespace Qkd.Distillation;

/// <summary>Secret key of one block: the same at both ends and unknown to anyone else, up to <see cref="Epsilon"/>.</summary>
public sealed class SecretKey : IDisposable
{
    private readonly Custody<BitString> _key;

    internal SecretKey(long blockId, KeyGrade grade, double epsilon, BitString key)
    {
        BlockId = blockId;
        Grade = grade;
        Epsilon = epsilon;
        LengthBits = key.Length;
        _key = new(nameof(SecretKey), key);
    }

    /// <summary>The block that the key comes from.</summary>
    public long BlockId { get; }

    /// <summary>What the key may be called.</summary>
    public KeyGrade Grade { get; }

    /// <summary>Security parameter of the whole block, authentication in both directions included. It adds up over blocks.</summary>
    public double Epsilon { get; }

    /// <summary>Length in bits, a multiple of 8.</summary>
    public int LengthBits { get; }

    /// <summary>Length in bytes.</summary>
    public int LengthBytes => LengthBits / 8;

    /// <summary>Copies the key out, for a key store. The copy is the caller's to erase.</summary>
    /// <param name="destination">At least <see cref="LengthBytes"/> bytes.</param>
    /// <exception cref="ObjectDisposedException">The key has been divided or erased.</exception>
    public void CopyTo(Span<byte> destination) => _key.Peek().CopyTo(destination);

    /// <summary>Divides the key into its head, for authentication, and the rest. This key is used up.</summary>
    /// <param name="authenticationBits">Bits of the head: a multiple of 8, at most <see cref="LengthBits"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">Not such a number.</exception>
    public (AuthenticationKeyMaterial Authentication, SecretKey Remainder) Divide(int authenticationBits)
    {
        if (authenticationBits < 0 || authenticationBits > LengthBits || authenticationBits % 8 != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(authenticationBits), authenticationBits, $"A whole number of bytes of at most {LengthBits} bits.");
        }

        using var whole = _key.Take();
        var head = new BitString(authenticationBits);
        var rest = new BitString(LengthBits - authenticationBits);
        var bytes = MemoryMarshal.AsBytes(whole.Words);
        bytes[..(authenticationBits / 8)].CopyTo(MemoryMarshal.AsBytes(head.Words));
        bytes[(authenticationBits / 8)..(LengthBits / 8)].CopyTo(MemoryMarshal.AsBytes(rest.Words));
        return (new(BlockId, head), new(BlockId, Grade, Epsilon, rest));
    }

    /// <summary>Erases the key.</summary>
    public void Dispose() => _key.Dispose();

    /// <inheritdoc/>
    public override string ToString() => $"{Grade} key of block {BlockId}: {LengthBits} bits";
}

/// <summary>Secret bits that were set aside to authenticate later messages.</summary>
public sealed class AuthenticationKeyMaterial : IDisposable
{
    private readonly Custody<BitString> _key;

    internal AuthenticationKeyMaterial(long blockId, BitString key)
    {
        BlockId = blockId;
        LengthBytes = key.Length / 8;
        _key = new(nameof(AuthenticationKeyMaterial), key);
    }

    /// <summary>The block that it comes from.</summary>
    public long BlockId { get; }

    /// <summary>Length in bytes.</summary>
    public int LengthBytes { get; }

    /// <summary>Copies it out. The copy is the caller's to erase.</summary>
    public void CopyTo(Span<byte> destination) => _key.Peek().CopyTo(destination);

    /// <summary>Erases it.</summary>
    public void Dispose() => _key.Dispose();

    /// <inheritdoc/>
    public override string ToString() => $"authentication key of block {BlockId}: {LengthBytes} bytes";
}
