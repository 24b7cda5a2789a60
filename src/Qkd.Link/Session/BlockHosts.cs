using Qkd.Devices;
using Qkd.Distillation;
using Qkd.Link.Wire;
using Qkd.Timing;

namespace Qkd.Link.Session;

/// <summary>Carries a block's messages: the connection, or a recording of what once came over it.</summary>
internal interface IBlockMessages
{
    /// <summary>Whether a message of the peer's is there already.</summary>
    bool HasArrived { get; }

    /// <summary>Sends a message.</summary>
    ValueTask SendAsync(MessageType type, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken);

    /// <summary>Waits for the next message, which must be of one kind.</summary>
    /// <exception cref="LinkException">The peer gave the block up, sent something else, or nothing in time.</exception>
    ValueTask<ReadOnlyMemory<byte>> ExpectAsync(MessageType type, CancellationToken cancellationToken);
}

/// <summary>What a block's distillation asks of whoever runs it: a session, or the replay of one.</summary>
internal interface IBlockHost
{
    /// <summary>Where this end draws for the block.</summary>
    ISecretRandomness Randomness { get; }

    /// <summary>Begins the correction.</summary>
    IReconciliation BeginReconciliation(SiftedBlock sifted);

    /// <summary>The block was sifted.</summary>
    void Sifted(SiftedBlock sifted);

    /// <summary>The correction has ended.</summary>
    /// <param name="reconciliation">The correction.</param>
    /// <param name="sifted">The block that it began with.</param>
    /// <param name="busy">Time of this end's own work.</param>
    /// <param name="shortestAnswer">Shortest time from a message to its answer; null if there was none.</param>
    void Reconciled(IReconciliation reconciliation, SiftedBlock sifted, TimeSpan busy, TimeSpan? shortestAnswer);

    /// <summary>The length was agreed.</summary>
    void Bounded(VerifiedBlock verified, long secretLength);
}

/// <summary>What Alice's end asks.</summary>
internal interface IAliceBlockHost : IBlockHost
{
    /// <summary>The preparation of a frame, of which the peer is about to be told bases and intensities.</summary>
    ReadOnlySpan<ulong> Tell(long frame);

    /// <summary>A frame was matched: its preparation is not needed any more.</summary>
    void Matched(long frame);

    /// <summary>All frames were matched.</summary>
    void MatchedAll();

    /// <summary>How many bits of a key of this length are set aside for authentication.</summary>
    int Feed(long secretBits);
}

/// <summary>What Bob's end asks.</summary>
internal interface IBobBlockHost : IBlockHost
{
    /// <summary>The block's next frame. The caller's to dispose of.</summary>
    ValueTask<DetectionFrame> NextFrameAsync(CancellationToken cancellationToken);
}
