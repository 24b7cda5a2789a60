using Qkd.Distillation;
using Qkd.Link.Preparation;

namespace Qkd.Link;

/// <summary>What both nodes must agree on. Its digest is compared in the handshake.</summary>
public sealed record LinkAgreement
{
    /// <summary>Slots a frame.</summary>
    public required int FrameSlots { get; init; }

    /// <summary>Pilot slots at the head of each frame.</summary>
    public required int PilotSlots { get; init; }

    /// <summary>Slots between two markers.</summary>
    public required int MarkerDivisor { get; init; }

    /// <summary>Pulses a second.</summary>
    public required double RepetitionRateHertz { get; init; }

    /// <summary>Alice's probabilities.</summary>
    public required SymbolProbabilities Probabilities { get; init; }

    /// <summary>The security parameters of each block.</summary>
    public required SecurityParameters Security { get; init; }

    /// <summary>Key-basis bits a block should have; the number of its frames is chosen beforehand to reach it.</summary>
    public required int BlockKeyBits { get; init; }

    /// <summary>Frames of the first block, before anything is known about the rate.</summary>
    public required int InitialBlockFrames { get; init; }

    /// <summary>Error rate in either basis above which key making stops.</summary>
    public required double QberLimit { get; init; }
}

/// <summary>One end's own settings.</summary>
public sealed record LinkTimeouts
{
    /// <summary>For the handshake and for requests.</summary>
    public TimeSpan Request { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Without any message of a block for this long the block is given up; without any message at all, the session.</summary>
    public TimeSpan Block { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Each end sends a sign of life so often, whatever else it sends. The same at both ends: it is no setting.</summary>
    public TimeSpan KeepAlive { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>When a peer of whom nothing is heard is taken for lost: never before several of its signs of life are missing.</summary>
    internal TimeSpan Silence => Block > 5 * KeepAlive ? Block : 5 * KeepAlive;

    /// <summary>By how much the two nodes' clocks may disagree when times of sending and receipt are compared.</summary>
    public TimeSpan ClockTolerance { get; init; } = TimeSpan.FromMilliseconds(100);
}
