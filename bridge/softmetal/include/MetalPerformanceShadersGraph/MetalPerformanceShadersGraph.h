// The declarations of MPSGraph that bridge.m uses, in our own words; facts as in Metal.h, from
// darwinkit's macos/mpsgraph and objc2-metal-performance-shaders-graph 0.3.2.
#pragma once
#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

#pragma clang assume_nonnull begin

@interface MPSGraphObject : MTL_ROOT MTL_FIELDS(MPSGraphObject)
@end

@interface MPSGraphType : MPSGraphObject <NSCopying> MTL_FIELDS(MPSGraphType)
@end

@interface MPSGraphShapedType : MPSGraphType MTL_FIELDS(MPSGraphShapedType)
- (instancetype)initWithShape:(nullable MPSShape *)shape dataType:(MPSDataType)dataType;
@end

@interface MPSGraphDevice : MPSGraphObject MTL_FIELDS(MPSGraphDevice)
+ (instancetype)deviceWithMTLDevice:(id<MTLDevice>)device;
@end

@interface MPSGraphOperation : MPSGraphObject <NSCopying> MTL_FIELDS(MPSGraphOperation)
@end

@interface MPSGraphTensor : MPSGraphObject <NSCopying> MTL_FIELDS(MPSGraphTensor)
- (nullable MPSShape *)shape;
- (MPSDataType)dataType;
@end

@interface MPSGraphTensorData : MPSGraphObject MTL_FIELDS(MPSGraphTensorData)
- (instancetype)initWithMTLBuffer:(id<MTLBuffer>)buffer shape:(MPSShape *)shape dataType:(MPSDataType)dataType;
@end

typedef NSDictionary<MPSGraphTensor *, MPSGraphShapedType *> MPSGraphTensorShapedTypeDictionary;

MTL_ENUM(uint64_t, MPSGraphOptimization) {
	MPSGraphOptimizationLevel0 = 0,
	MPSGraphOptimizationLevel1 = 1,
};

@interface MPSGraphCompilationDescriptor : MPSGraphObject <NSCopying> MTL_FIELDS(MPSGraphCompilationDescriptor)
- (void)setOptimizationLevel:(MPSGraphOptimization)level;
@end

@class MPSGraphExecutableExecutionDescriptor;

@interface MPSGraphExecutable : MPSGraphObject MTL_FIELDS(MPSGraphExecutable)
- (nullable NSArray<MPSGraphTensor *> *)feedTensors; // in the order of inputsArray, which no rule gives
- (NSArray<MPSGraphTensorData *> *)encodeToCommandBuffer:(MPSCommandBuffer *)commandBuffer
                                             inputsArray:(NSArray<MPSGraphTensorData *> *)inputs
                                            resultsArray:(nullable NSArray<MPSGraphTensorData *> *)results
                                     executionDescriptor:(nullable MPSGraphExecutableExecutionDescriptor *)descriptor;
@end

MTL_ENUM(NSUInteger, MPSGraphPaddingStyle) {
	MPSGraphPaddingStyleExplicit = 0,
};

MTL_ENUM(NSUInteger, MPSGraphTensorNamedDataLayout) {
	MPSGraphTensorNamedDataLayoutNCHW = 0,
	MPSGraphTensorNamedDataLayoutNHWC = 1,
	MPSGraphTensorNamedDataLayoutOIHW = 2,
	MPSGraphTensorNamedDataLayoutHWIO = 3,
};

@interface MPSGraphConvolution2DOpDescriptor : MPSGraphObject <NSCopying> MTL_FIELDS(MPSGraphConvolution2DOpDescriptor)
+ (nullable instancetype)descriptorWithStrideInX:(NSUInteger)strideInX
                                       strideInY:(NSUInteger)strideInY
                                 dilationRateInX:(NSUInteger)dilationRateInX
                                 dilationRateInY:(NSUInteger)dilationRateInY
                                          groups:(NSUInteger)groups
                                     paddingLeft:(NSUInteger)paddingLeft
                                    paddingRight:(NSUInteger)paddingRight
                                      paddingTop:(NSUInteger)paddingTop
                                   paddingBottom:(NSUInteger)paddingBottom
                                    paddingStyle:(MPSGraphPaddingStyle)paddingStyle
                                      dataLayout:(MPSGraphTensorNamedDataLayout)dataLayout
                                   weightsLayout:(MPSGraphTensorNamedDataLayout)weightsLayout;
@end

@interface MPSGraph : MPSGraphObject MTL_FIELDS(MPSGraph)
- (MPSGraphTensor *)placeholderWithShape:(nullable MPSShape *)shape dataType:(MPSDataType)dataType name:(nullable NSString *)name;
- (MPSGraphTensor *)castTensor:(MPSGraphTensor *)tensor toType:(MPSDataType)type name:(nullable NSString *)name;
- (MPSGraphTensor *)transposeTensor:(MPSGraphTensor *)tensor
                          dimension:(NSUInteger)dimension
                      withDimension:(NSUInteger)otherDimension
                               name:(nullable NSString *)name;
- (MPSGraphTensor *)additionWithPrimaryTensor:(MPSGraphTensor *)primary
                              secondaryTensor:(MPSGraphTensor *)secondary
                                         name:(nullable NSString *)name;
- (MPSGraphTensor *)matrixMultiplicationWithPrimaryTensor:(MPSGraphTensor *)primary
                                          secondaryTensor:(MPSGraphTensor *)secondary
                                                     name:(nullable NSString *)name;
- (MPSGraphTensor *)convolution2DWithSourceTensor:(MPSGraphTensor *)source
                                    weightsTensor:(MPSGraphTensor *)weights
                                       descriptor:(MPSGraphConvolution2DOpDescriptor *)descriptor
                                             name:(nullable NSString *)name;
- (MPSGraphExecutable *)compileWithDevice:(nullable MPSGraphDevice *)device
                                    feeds:(MPSGraphTensorShapedTypeDictionary *)feeds
                            targetTensors:(NSArray<MPSGraphTensor *> *)targetTensors
                         targetOperations:(nullable NSArray<MPSGraphOperation *> *)targetOperations
                    compilationDescriptor:(nullable MPSGraphCompilationDescriptor *)descriptor;
@end

#pragma clang assume_nonnull end
