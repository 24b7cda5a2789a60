using System.Buffers;

namespace Qkd.Distillation;

/// <summary>
/// One end of the verification of one block. It neither sends nor waits: the caller carries its messages, Alice's first, one each way a round.
/// </summary>
/// <remarks>
/// Alice draws a hash key, when both ends' bits are settled, and tells the tag of every cluster of frames. Bob says which differ; of those she
/// tells the tags of the halves, down to single frames. A frame that differs she discloses whole: Bob takes it over, its bits count as leaked, its errors
/// are known exactly, and the block keeps its size. A block that leaks more than it has is lost.
/// <para>
/// Alice's first message: <c>H (16 bytes); a (16 bytes); a tag of t bits for each cluster</c>. Bob's: <c>u8 0; a bit for each range, 1 = differs</c>, or, when nothing
/// differs any more, <c>u8 1; 3 x i64 errors per intensity</c>. Her others, for each range that differs in its order: the tag of its left half, or
/// the bits of the frame. Bits are packed into 64-bit words.
/// </para>
/// </remarks>
public interface IVerification : IDisposable
{
    /// <summary>Takes the peer's message (nothing for Alice's first) and makes the next one, if there is one. Returns true when this end has finished.</summary>
    /// <exception cref="DistillationException">The message is malformed, or the block leaks more than it has. The block is lost.</exception>
    bool Step(ReadOnlySpan<byte> received, IBufferWriter<byte> toSend);

    /// <summary>Frames that were disclosed so far.</summary>
    int DisclosedFrames { get; }

    /// <summary>The verified block. To be taken once, after <see cref="Step"/> returned true.</summary>
    VerifiedBlock Result { get; }
}
