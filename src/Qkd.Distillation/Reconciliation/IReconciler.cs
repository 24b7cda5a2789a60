using System.Buffers;
using Qkd.Devices;

namespace Qkd.Distillation;

/// <summary>A method of error correction.</summary>
public interface IReconciler
{
    /// <summary>Name of the method, for the record.</summary>
    string Name { get; }

    /// <summary>Begins the correction of a block. The sifted block is used up.</summary>
    /// <param name="block">This end's sifted block.</param>
    /// <param name="end">Which end this is. Bob corrects.</param>
    /// <param name="conditions">What to expect of block and link. It decides how much is leaked and how long it takes, never whether the result is right.</param>
    /// <param name="randomness">Where Alice draws what the method hides parts of her bits with; null for the method's own source.</param>
    IReconciliation Begin(SiftedBlock block, LinkEnd end, ReconciliationConditions conditions, ISecretRandomness? randomness = null);
}

/// <summary>What an end expects of a block and of the link before the correction begins. Only Alice's counts: her first message says what follows from it.</summary>
/// <param name="ErrorRate">Error rate to expect in the key basis, 0 to 1; NaN if nothing is known.</param>
public sealed record ReconciliationConditions(double ErrorRate)
{
    /// <summary>Time from a message to its answer on the classical channel; zero if it is not known.</summary>
    public TimeSpan RoundTrip { get; init; }

    /// <summary>Sifted key-basis bits a second that must be corrected to keep up; zero if it is not known.</summary>
    public double SiftedBitsPerSecond { get; init; }

    /// <summary>Share of the sifted bits that is secret before error correction is paid for, 0 to 1; zero if it is not known.</summary>
    public double SecretShare { get; init; }
}

/// <summary>
/// One end of the correction of one block. It neither sends nor waits: the caller carries its messages, at most one each way a round.
/// </summary>
public interface IReconciliation : IDisposable
{
    /// <summary>Name of the method; empty at the other end until the first message has told it.</summary>
    string Method { get; }

    /// <summary>Whether this end makes the first message, by a call of <see cref="Step"/> with nothing received.</summary>
    bool StartsFirst { get; }

    /// <summary>Messages this end has taken or made, whichever are more: the number of rounds.</summary>
    int Rounds { get; }

    /// <summary>
    /// Takes the peer's message and makes the next one. Returns true when this end has finished; a last message may still have been
    /// written and must be sent.
    /// </summary>
    /// <exception cref="DistillationException">The message is malformed or asks for more than a block may leak. The block is lost.</exception>
    bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend);

    /// <summary>Frames for which more had to be told than the first message did: of a one-way code, those that it did not decode at once. None of a method that talks anyway.</summary>
    int RetriedFrames { get; }

    /// <summary>Frames that could not be corrected and were disclosed whole: some of those retried.</summary>
    int DisclosedFrames { get; }

    /// <summary>The corrected block. To be taken once, after <see cref="Step"/> returned true.</summary>
    CorrectedBlock Result { get; }
}
