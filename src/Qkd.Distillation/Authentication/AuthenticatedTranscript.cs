namespace Qkd.Distillation;

/// <summary>
/// Proof that the peer's tag over a block's transcript was checked: both ends logged the same messages in the same order, none was
/// received before it was sent. Made by <see cref="BlockAuthentication"/> only.
/// </summary>
public sealed class AuthenticatedTranscript
{
    internal AuthenticatedTranscript(long blockId, LinkEnd peer, bool ownAccept, bool peerAccept, double forgeryProbability) =>
        (BlockId, Peer, OwnAccept, PeerAccept, ForgeryProbability) = (blockId, peer, ownAccept, peerAccept, forgeryProbability);

    /// <summary>The block.</summary>
    public long BlockId { get; }

    /// <summary>The end whose tag was checked.</summary>
    public LinkEnd Peer { get; }

    /// <summary>Whether this end accepts the block.</summary>
    public bool OwnAccept { get; }

    /// <summary>Whether the peer accepts the block.</summary>
    public bool PeerAccept { get; }

    /// <summary>Bound on the probability that either direction's tag was forged.</summary>
    public double ForgeryProbability { get; }

    /// <summary>What the block's two tags took from the shared key.</summary>
    public AuthenticationCost Cost => new(AuthenticationCost.Block.KeyBits, ForgeryProbability);

    /// <inheritdoc/>
    public override string ToString() => $"transcript of block {BlockId}, tagged by {Peer}, accepted: {PeerAccept}, here: {OwnAccept}";
}
