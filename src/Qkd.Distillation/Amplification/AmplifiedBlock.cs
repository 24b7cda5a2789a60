namespace Qkd.Distillation;

/// <summary>
/// The compressed bits of a block. They become key only when the peer's tag over everything that was said about the block has been checked.
/// </summary>
public sealed class AmplifiedBlock : IDisposable
{
    private readonly Custody<BitString> _key;
    private readonly LinkEnd _end;
    private readonly double _securityParameter;

    internal AmplifiedBlock(BlockParameters parameters, LinkEnd end, double securityParameter, BitString key)
    {
        Parameters = parameters;
        LengthBits = key.Length;
        _end = end;
        _securityParameter = securityParameter;
        _key = new(nameof(AmplifiedBlock), key);
    }

    /// <summary>The block's id.</summary>
    public long BlockId => Parameters.BlockId;

    /// <summary>What the block is.</summary>
    public BlockParameters Parameters { get; }

    /// <summary>Length in bits.</summary>
    public int LengthBits { get; }

    /// <summary>Releases the key. The block is used up.</summary>
    /// <param name="transcript">Proof that the peer saw the same block in the same way and accepts it.</param>
    /// <exception cref="DistillationException">The transcript is of another block or of this end's own tag, or an end did not accept. The bits are erased.</exception>
    public SecretKey Release(AuthenticatedTranscript transcript)
    {
        ArgumentNullException.ThrowIfNull(transcript);
        var key = _key.Take();
        if (transcript.BlockId != BlockId || transcript.Peer == _end || !transcript.OwnAccept || !transcript.PeerAccept)
        {
            key.Dispose();
            throw new DistillationException($"Block {BlockId} cannot be released by {transcript}.");
        }

        return new(BlockId, Parameters.Grade, _securityParameter + transcript.ForgeryProbability, key);
    }

    /// <summary>Ends a replay: what a recorded block comes to, to be compared. Nobody has authenticated it, so it is no key. The block is used up.</summary>
    public ReplayedKey Replay() => new(BlockId, _key.Take());

    /// <summary>Erases the bits.</summary>
    public void Dispose() => _key.Dispose();

    /// <inheritdoc/>
    public override string ToString() => $"amplified block {BlockId}: {LengthBits} bits";
}
