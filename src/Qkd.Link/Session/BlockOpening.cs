using System.Text.Json;
using Qkd.Distillation;
using Qkd.Link.Wire;

namespace Qkd.Link.Session;

/// <summary>The message that opens a block: its parameters as JSON, checked against what was agreed.</summary>
internal static class BlockOpening
{
    public static byte[] Write(BlockParameters parameters) => JsonSerializer.SerializeToUtf8Bytes(parameters);

    /// <summary>Reads the parameters that Alice states.</summary>
    /// <exception cref="LinkProtocolException">Not parameters, or not those agreed in the handshake.</exception>
    public static BlockParameters Read(LinkMessage message, LinkAgreement agreement)
    {
        BlockParameters? parameters;
        try
        {
            parameters = JsonSerializer.Deserialize<BlockParameters>(message.Payload.Span);
        }
        catch (JsonException e)
        {
            throw new LinkProtocolException("A block's opening cannot be read.", e);
        }

        try
        {
            parameters?.Validate();
        }
        catch (DistillationException e)
        {
            throw new LinkProtocolException($"The opening of block {message.BlockId} makes no sense: {e.Message}", e);
        }

        return parameters is not null
            && parameters.BlockId == message.BlockId
            && parameters.FirstFrame >= 0
            && parameters.FrameCount is > 0 and <= BlockPlanner.MaximumFrames
            && parameters.FrameSlots == agreement.FrameSlots
            && parameters.PilotSlots == agreement.PilotSlots
            && parameters.Security == agreement.Security
            && parameters.Intensities.Count == agreement.Probabilities.IntensitiesOf256.Count
            && parameters.Intensities.Select((intensity, i) => intensity.Probability == agreement.Probabilities.Intensity(i)).All(same => same)
            ? parameters
            : throw new LinkProtocolException($"The opening of block {message.BlockId} does not fit what was agreed.");
    }
}
