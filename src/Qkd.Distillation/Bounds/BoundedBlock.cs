using System.Buffers;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>A verified block with the secret length that both ends agree on. Used up by privacy amplification.</summary>
public sealed class BoundedBlock : IDisposable
{
    private readonly Custody<BitString> _key;
    private readonly LinkEnd _end;
    private readonly int _bits;

    internal BoundedBlock(VerifiedBlock verified, LinkEnd end, BitString key, KeyBound bound, long secretLength)
    {
        Parameters = verified.Parameters;
        Bound = bound;
        SecretLength = secretLength;
        _bits = key.Length;
        _end = end;
        _key = new(nameof(BoundedBlock), key);
    }

    /// <summary>The block's id.</summary>
    public long BlockId => Parameters.BlockId;

    /// <summary>What the block is.</summary>
    public BlockParameters Parameters { get; }

    /// <summary>This end's own bound.</summary>
    public KeyBound Bound { get; }

    /// <summary>Secret length agreed on, in bits: a multiple of 8, not above the bound; 0 if the block gives no key.</summary>
    public long SecretLength { get; }

    /// <summary>Alice: draws a fresh seed, writes it, and compresses her bits with it.</summary>
    /// <exception cref="DistillationException">The block gives no key.</exception>
    public AmplifiedBlock CreateSeed(ISecretRandomness randomness, IBufferWriter<byte> seedMessage)
    {
        ArgumentNullException.ThrowIfNull(randomness);
        ArgumentNullException.ThrowIfNull(seedMessage);
        Require(LinkEnd.Alice);
        var seed = AmplificationMessages.CreateSeed(_bits, randomness, seedMessage);
        return Compress(seed);
    }

    /// <summary>Bob: compresses his bits with Alice's seed.</summary>
    /// <exception cref="DistillationException">The message is malformed, or the block gives no key.</exception>
    public AmplifiedBlock Amplify(ReadOnlySpan<byte> seedMessage)
    {
        Require(LinkEnd.Bob);
        return Compress(AmplificationMessages.ReadSeed(_bits, seedMessage));
    }

    /// <summary>Erases the bits.</summary>
    public void Dispose() => _key.Dispose();

    /// <inheritdoc/>
    public override string ToString() => $"bounded block {BlockId}: {SecretLength} secret of {_bits} bits";

    private AmplifiedBlock Compress(ulong[] seed)
    {
        using var key = _key.Take();
        return new(Parameters, _end, Bound.SecurityParameter, ModifiedToeplitz.Hash(key, seed, (int)SecretLength));
    }

    private void Require(LinkEnd end)
    {
        if (_end != end)
        {
            throw new InvalidOperationException($"This step is {end}'s.");
        }

        if (SecretLength == 0)
        {
            _key.Dispose();
            throw new DistillationException($"Block {BlockId} gives no secret key: {Bound.Reason}");
        }
    }
}
