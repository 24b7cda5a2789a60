using System.Threading.Channels;
using Qkd.Distillation;
using Qkd.Timing;

namespace Qkd.Link.Session;

/// <summary>One block at work on one end.</summary>
internal sealed class RunningBlock : IDisposable
{
    private readonly CancellationTokenSource _stop;
    private string _reason = "the session ended";

    public RunningBlock(BlockChannel channel, BlockParameters parameters, CancellationToken ending)
    {
        Channel = channel;
        Parameters = parameters;
        NeedsFrom = parameters.FirstFrame;
        _stop = CancellationTokenSource.CreateLinkedTokenSource(ending);
        Stopping = _stop.Token;
        channel.GivenUp = Stop;
    }

    public BlockChannel Channel { get; }

    public BlockParameters Parameters { get; }

    public long LastFrame => Parameters.FirstFrame + Parameters.FrameCount - 1;

    public CancellationToken Stopping { get; }

    /// <summary>The first frame whose preparation this block still needs (at Alice).</summary>
    public long NeedsFrom { get; set; }

    public Task Task { get; set; } = Task.CompletedTask;

    /// <summary>When this block may be announced: the one before it has been (at Alice).</summary>
    public Task Turn { get; set; } = Task.CompletedTask;

    /// <summary>Whether this block has been announced, or never will be (at Alice).</summary>
    public TaskCompletionSource Announced { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Whether the block that follows the one after it has been opened (at Alice).</summary>
    public bool HasSuccessor { get; set; }

    /// <summary>Frames of this block that have been received (at Bob). Bounded: the receiver waits when sifting cannot keep up.</summary>
    public Channel<DetectionFrame> Frames { get; } = System.Threading.Channels.Channel.CreateBounded<DetectionFrame>(
        new BoundedChannelOptions(16) { SingleReader = true, SingleWriter = true });

    /// <summary>Whether nothing more may be told of this block's frames (at Alice): they may belong to another block from now on.</summary>
    public bool Overtaken { get; private set; }

    /// <summary>Whether a tag of the peer or for him was used on this block: it has cost key.</summary>
    public bool HasCostKey { get; set; }

    /// <summary>Whether its key is stored: it is no longer to be given up, whatever happens to the session.</summary>
    public bool IsStored { get; set; }

    /// <summary>Says that nothing more may be told of its frames; <see cref="Stop"/> follows.</summary>
    public void Overtake(string reason) => (Overtaken, HasSuccessor, _reason) = (true, true, reason);

    /// <summary>Gives the block up.</summary>
    public void Stop(string reason)
    {
        // The first reason is the cause: what the peer says to it comes later, and may come before the block has noticed.
        if (!Stopping.IsCancellationRequested)
        {
            _reason = reason;
        }

        try
        {
            _stop.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It has just ended by itself.
        }
    }

    /// <summary>What to say of a block that ended with this exception.</summary>
    public string ReasonFor(Exception exception) => exception is OperationCanceledException ? _reason : exception.Message;

    /// <summary>Nothing is received any more; frames that were not looked at are erased.</summary>
    public void Dispose()
    {
        // A frame that waits for room in a block that has ended by itself would wait for ever, and the session with it.
        Frames.Writer.TryComplete();
        while (Frames.Reader.TryRead(out var frame))
        {
            frame.Dispose();
        }

        _stop.Dispose();
    }
}
