using Qkd.Drivers.Tests.Support;

namespace Qkd.Drivers.Tests.IdQuantique;

/// <summary>Tells from the wire how far the driver is.</summary>
internal static class Id900World
{
    /// <summary>The last acquisition started has been told that it records.</summary>
    public static Task UntilRecordingAsync(WireLog wire) => TestLimits.UntilAsync(() => !Stopped(wire));

    /// <summary>The driver has asked for the state of all streams, from the first question on.</summary>
    public static async Task UntilNoticedAsync(WireLog wire)
    {
        var before = Rounds(wire);
        await TestLimits.UntilAsync(() => Rounds(wire) >= before + 2);
    }

    private static bool Stopped(WireLog wire)
    {
        var sent = wire.Sent("control");
        var play = LastIndex(sent, "REC:PLAY");
        return play < 0 || LastIndex(sent, "REC:STOP") > play || !sent.Skip(play).Any(text => text.StartsWith("REC:STAGe?;", StringComparison.Ordinal));
    }

    private static int LastIndex(IReadOnlyList<string> texts, string wanted)
    {
        for (var index = texts.Count - 1; index >= 0; index--)
        {
            if (texts[index] == wanted)
            {
                return index;
            }
        }

        return -1;
    }

    private static int Rounds(WireLog wire) =>
        wire.Count(text => text is { Channel: "control", Sent: true } && text.Text.StartsWith("REC:STAGe?;", StringComparison.Ordinal));
}
