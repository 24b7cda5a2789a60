namespace Qkd.Distillation.Tests;

/// <summary>Parameters of small blocks.</summary>
internal static class Blocks
{
    public static BlockParameters Parameters(
        int frames = 3, int frameSlots = 64 * 40, int pilotSlots = 100, long blockId = 1, SecurityParameters? security = null, KeyGrade grade = KeyGrade.Laboratory) => new()
        {
            BlockId = blockId,
            FirstFrame = 5,
            FrameCount = frames,
            FrameSlots = frameSlots,
            PilotSlots = pilotSlots,
            Intensities = [new(.45, .45, .45, .5), new(.15, .15, .15, .3), new(.001, .001, .001, .2)],
            Security = security ?? new(),
            Grade = grade,
        };
}
